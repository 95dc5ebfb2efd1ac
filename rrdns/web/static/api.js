/* Call the API: the token, the problems it answers with, and its clock. */

const KEY = "rrdns-token";
const TIMEOUT = 4000; // milliseconds
const SAME_CLOCK = 2000; // the Date header has whole seconds

/** The API refused, or could not be reached (status 0). */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

/** The API, called with the token of this tab. */
export class Api {
  #offset = 0; // of the server's clock to ours, milliseconds

  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  set token(token) {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  }

  /** Return what time it is for the server, in milliseconds. */
  now() {
    return Date.now() + this.#offset;
  }

  /** Return the JSON at a path; `also` are statuses that are answers too. */
  get(path, { also = [] } = {}) {
    return this.#fetch(path, {}, json, also);
  }

  /** Return the JSON at a path and its entity tag. */
  getTagged(path) {
    return this.#fetch(path, {}, async (response) => ({
      value: await json(response),
      tag: response.headers.get("ETag"),
    }));
  }

  /** Return what is at a path as a file. */
  getFile(path) {
    return this.#fetch(path, { patience: 12 * TIMEOUT }, (response) => response.blob());
  }

  /** Give an order; it is refused when the tag is outdated. */
  post(path, body, tag) {
    const headers = { "Content-Type": "application/json", ...(tag ? { "If-Match": tag } : {}) };
    // An order waits for every worker and for the disk: longer than a look may take.
    const options = { method: "POST", headers, body: JSON.stringify(body), patience: 4 * TIMEOUT };
    return this.#fetch(path, options, json);
  }

  /** Return a response whose body the caller reads for as long as it likes. */
  open(path, { headers, signal }) {
    return this.#fetch(path, { headers, signal }, (response) => response);
  }

  async #fetch(path, { patience = TIMEOUT, headers = {}, signal, ...options }, read, also = []) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), patience);
    signal?.addEventListener("abort", () => limit.abort());
    const token = this.token;
    const all = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
    try {
      const response = await fetch(path, { ...options, headers: all, signal: limit.signal, cache: "no-store" });
      this.#setClock(response);
      if (!response.ok && !also.includes(response.status)) throw await problemOf(response);
      return await read(response);
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem(0, "No answer", limit.signal.aborted ? "no answer in time" : "rrdns cannot be reached");
    } finally {
      clearTimeout(timer);
    }
  }

  #setClock(response) {
    const offset = Date.parse(response.headers.get("Date") ?? "") + 500 - Date.now();
    if (Number.isFinite(offset)) this.#offset = Math.abs(offset) > SAME_CLOCK ? offset : 0;
  }
}

function json(response) {
  return response.json();
}

async function problemOf(response) {
  try {
    const told = await response.json();
    return new Problem(response.status, told.title ?? "", told.detail ?? "");
  } catch {
    return new Problem(response.status, response.statusText, `the answer was ${response.status} ${response.statusText}`);
  }
}

/** Return the path of a member below the API's root. */
export function memberPath(pool, member) {
  return `${poolPath(pool)}/members/${encodeURIComponent(member)}`;
}

/** Return the part of a query that names a pool. */
export function poolQuery(pool) {
  return `pool=${encodeURIComponent(pool)}`;
}

/** Return the path of a pool below the API's root. */
export function poolPath(pool) {
  return `v1/pools/${encodeURIComponent(pool)}`;
}
