/* Call the API: its token, its problem documents, and its clock. */

const KEY = "rrdns-token";
const TIMEOUT = 4000; // milliseconds
const SAME_CLOCK = 2000; // milliseconds: the Date header has whole seconds

/** The API refused a call, or could not be reached (status 0). */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
  }
}

/** The API, called with the token of this tab. */
export class Api {
  #offset = 0; // milliseconds from our clock to the server's

  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  set token(token) {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  }

  /** Return the server's time in milliseconds. */
  now() {
    return Date.now() + this.#offset;
  }

  /** Return the JSON at a path; `also` has statuses that are not errors. */
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

  /** Return the file at a path. */
  getFile(path) {
    return this.#fetch(path, { timeout: 12 * TIMEOUT }, (response) => response.blob());
  }

  /** Give an order. The API refuses it if the tag is outdated. */
  post(path, body, tag) {
    const headers = { "Content-Type": "application/json", ...(tag ? { "If-Match": tag } : {}) };
    // An order waits for every worker and for the disk, so its timeout is longer.
    const options = { method: "POST", headers, body: JSON.stringify(body), timeout: 4 * TIMEOUT };
    return this.#fetch(path, options, json);
  }

  /** Return a response whose body the caller reads without a timeout. */
  open(path, { headers, signal }) {
    return this.#fetch(path, { headers, signal }, (response) => response);
  }

  async #fetch(path, { timeout = TIMEOUT, headers = {}, signal, ...options }, read, also = []) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeout);
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
      throw new Problem(0, "No answer", limit.signal.aborted ? "rrdns did not answer in time" : "rrdns cannot be reached");
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
    const problem = await response.json();
    return new Problem(response.status, problem.title ?? "", problem.detail ?? "");
  } catch {
    return new Problem(response.status, response.statusText, `rrdns answered ${response.status} ${response.statusText}`);
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
