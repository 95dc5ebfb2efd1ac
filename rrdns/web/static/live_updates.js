/* Keep what is shown fresh, and know how fresh it is.

   Server-sent events say at once that something changed; measured values (probe times,
   counts) have no events and are looked at every two seconds. Whichever of the two fails
   first means that the line is lost: then it is said, and tried again with back-off.
   EventSource cannot send a token, so the stream is read with fetch (WHATWG HTML 9.2). */

import { Problem } from "./api.js";

const POLL_INTERVAL = 2000; // milliseconds
const LOOK_HIDDEN_INTERVAL = 10_000;
const SILENCE = 25_000; // the server gives a sign of life every 10 s
const FIRST_RETRY = 500;
const MAX_RETRY = 8000;
const RECENT = 60; // probes of each member
const MANY_MEMBERS = 500; // too many to look at the probes of each

export class Live {
  #api;
  #told;
  #stopped = false;
  #line = new AbortController();
  #looking = null;
  #lookAgain = false;
  #retry = FIRST_RETRY;
  #lastId = "";
  #asked = ""; // at first the server says how many probes are not too many
  #sleepers = new Set();

  /** `told` has onView(view), onEvent(event), onPhase(phase) and onRefused(problem). */
  constructor(api, told) {
    this.#api = api;
    this.#told = told;
    this.wakeUp = () => [...this.#sleepers].forEach((wake) => wake());
    window.addEventListener("online", this.wakeUp);
    document.addEventListener("visibilitychange", this.wakeUp);
  }

  /** Watch until stopped, or until the caller is refused. */
  async run() {
    while (!this.#stopped) {
      const problem = await this.#watch().catch((error) => error);
      if (this.#stopped) return;
      if (problem.status === 401 || problem.status === 403) {
        this.stop();
        this.#told.onRefused(problem);
        return;
      }
      const wait = this.#retry * (0.75 + Math.random() / 2);
      this.#retry = Math.min(this.#retry * 2, MAX_RETRY);
      this.#told.onPhase({ name: "lost", why: sentenceOf(problem), retryAt: Date.now() + wait });
      await this.#pause(wait);
    }
  }

  /** End it all. */
  stop() {
    this.#stopped = true;
    this.#line.abort();
    this.wakeUp();
    window.removeEventListener("online", this.wakeUp);
    document.removeEventListener("visibilitychange", this.wakeUp);
  }

  /** Look now; while a look is under way another follows it. */
  look() {
    if (this.#looking) {
      this.#lookAgain = true;
      return this.#looking;
    }
    this.#looking = this.#lookOnce().finally(() => {
      this.#looking = null;
      if (this.#lookAgain) {
        this.#lookAgain = false;
        this.look().catch(() => {});
      }
    });
    return this.#looking;
  }

  async #watch() {
    this.#line = new AbortController();
    const me = await this.#api.get("v1/me");
    await this.look();
    this.#retry = FIRST_RETRY;
    this.#told.onPhase({ name: "live", me });
    try {
      await Promise.all([this.#lookOn(this.#line.signal), this.#streamOn(this.#line.signal)]);
    } finally {
      this.#line.abort();
      this.wakeUp();
    }
  }

  async #lookOnce() {
    const began = Date.now();
    const [{ pools }, readiness] = await Promise.all([
      this.#api.get(`v1/pools${this.#asked}`),
      this.#api.get("readyz", { also: [503] }),
    ]);
    const members = pools.reduce((sum, pool) => sum + pool.members.length, 0);
    this.#asked = `?recent=${members > MANY_MEMBERS ? 0 : RECENT}`;
    this.#told.onView({ pools, readiness, at: this.#api.now(), took: Date.now() - began });
    return Date.now() - began;
  }

  async #lookOn(signal) {
    let took = 0;
    while (!signal.aborted) {
      // A large farm on a slow line is looked at less often.
      await this.#pause(document.hidden ? LOOK_HIDDEN_INTERVAL : Math.max(POLL_INTERVAL, 10 * took));
      if (!signal.aborted) took = await this.look();
    }
  }

  /** Hold a stream while the page is seen: a browser has few connections to one host, and
      tabs in the background would use them up. */
  async #streamOn(signal) {
    while (!signal.aborted) {
      if (document.hidden) await change(document, "visibilitychange", signal);
      else await this.#stream(signal);
    }
  }

  async #stream(signal) {
    const own = new AbortController();
    const end = () => own.abort();
    const hide = () => document.hidden && own.abort();
    signal.addEventListener("abort", end);
    document.addEventListener("visibilitychange", hide);
    try {
      const headers = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
      const response = await this.#api.open("v1/events", { headers, signal: own.signal });
      await this.#read(response.body.getReader(), own);
      throw new Problem(0, "Closed", "rrdns closed the connection");
    } catch (error) {
      if (!(own.signal.aborted && document.hidden)) throw error;
    } finally {
      own.abort();
      signal.removeEventListener("abort", end);
      document.removeEventListener("visibilitychange", hide);
    }
  }

  async #read(reader, own) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const timer = setTimeout(() => own.abort(), SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop();
      blocks.map(parse).forEach((block) => this.#take(block));
    }
  }

  #take({ id, event, data }) {
    if (id) this.#lastId = id;
    if (!event) return;
    if (event !== "gap") this.#told.onEvent(JSON.parse(data));
    this.look().catch(() => {}); // the regular look tells of a failure
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#sleepers.add(wake);
    });
  }
}

function parse(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name) fields[name] = name === "data" && "data" in fields ? `${fields.data}\n${value}` : value;
  }
  return fields;
}

function change(target, kind, signal) {
  return new Promise((resolve) => {
    target.addEventListener(kind, resolve, { once: true });
    signal.addEventListener("abort", resolve, { once: true });
  });
}

function sentenceOf(problem) {
  return problem instanceof Problem ? problem.message : "the connection broke off";
}
