/* Keep the page up to date, and detect a lost connection.

   Server-sent events report changes at once. Measured values (probe times, counts) have no events
   and are polled every two seconds. If the stream or a poll fails, the connection is lost: the page
   shows it, and retries with back-off. EventSource cannot send a token, so the stream is read with
   fetch (WHATWG HTML 9.2). */

import { Problem } from "./api.js";

const POLL_INTERVAL = 2000; // milliseconds
const HIDDEN_POLL_INTERVAL = 10_000;
const STREAM_TIMEOUT = 25_000; // the server sends a keep-alive every 10 s
const FIRST_RETRY = 500;
const MAX_RETRY = 8000;
const RECENT = 60; // probes of each member
const MANY_MEMBERS = 500; // with more, recent probes are not fetched

export class Live {
  #api;
  #listener;
  #stopped = false;
  #connection = new AbortController();
  #polling = null;
  #pollAgain = false;
  #retry = FIRST_RETRY;
  #lastId = "";
  #query = ""; // at first the server's default number of probes
  #sleepers = new Set();

  /** `listener` has onView(view), onEvent(event), onPhase(phase) and onRefused(problem). */
  constructor(api, listener) {
    this.#api = api;
    this.#listener = listener;
    this.wakeUp = () => [...this.#sleepers].forEach((wake) => wake());
    window.addEventListener("online", this.wakeUp);
    document.addEventListener("visibilitychange", this.wakeUp);
  }

  /** Receive updates until stopped, or until the API refuses the caller. */
  async run() {
    while (!this.#stopped) {
      const problem = await this.#watch().catch((error) => error);
      if (this.#stopped) return;
      if (problem.status === 401 || problem.status === 403) {
        this.stop();
        this.#listener.onRefused(problem);
        return;
      }
      const wait = this.#retry * (0.75 + Math.random() / 2);
      this.#retry = Math.min(this.#retry * 2, MAX_RETRY);
      this.#listener.onPhase({ name: "lost", why: sentenceOf(problem), retryAt: Date.now() + wait });
      await this.#pause(wait);
    }
  }

  /** Stop all updates. */
  stop() {
    this.#stopped = true;
    this.#connection.abort();
    this.wakeUp();
    window.removeEventListener("online", this.wakeUp);
    document.removeEventListener("visibilitychange", this.wakeUp);
  }

  /** Poll now; if a poll is running, poll again after it. */
  poll() {
    if (this.#polling) {
      this.#pollAgain = true;
      return this.#polling;
    }
    this.#polling = this.#pollOnce().finally(() => {
      this.#polling = null;
      if (this.#pollAgain) {
        this.#pollAgain = false;
        this.poll().catch(() => {});
      }
    });
    return this.#polling;
  }

  async #watch() {
    this.#connection = new AbortController();
    const me = await this.#api.get("v1/me");
    await this.poll();
    this.#retry = FIRST_RETRY;
    this.#listener.onPhase({ name: "live", me });
    try {
      await Promise.all([this.#keepPolling(this.#connection.signal), this.#keepStreaming(this.#connection.signal)]);
    } finally {
      this.#connection.abort();
      this.wakeUp();
    }
  }

  async #pollOnce() {
    const began = Date.now();
    const [{ pools }, readiness] = await Promise.all([
      this.#api.get(`v1/pools${this.#query}`),
      this.#api.get("readyz", { also: [503] }),
    ]);
    const members = pools.reduce((sum, pool) => sum + pool.members.length, 0);
    this.#query = `?recent=${members > MANY_MEMBERS ? 0 : RECENT}`;
    this.#listener.onView({ pools, readiness, at: this.#api.now(), took: Date.now() - began });
    return Date.now() - began;
  }

  async #keepPolling(signal) {
    let took = 0;
    while (!signal.aborted) {
      // A large farm on a slow connection is polled less often.
      await this.#pause(document.hidden ? HIDDEN_POLL_INTERVAL : Math.max(POLL_INTERVAL, 10 * took));
      if (!signal.aborted) took = await this.poll();
    }
  }

  /** Keep a stream open while the page is visible: a browser has few connections to one host,
      which tabs in the background would occupy. */
  async #keepStreaming(signal) {
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
      const timer = setTimeout(() => own.abort(), STREAM_TIMEOUT);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop();
      blocks.map(parse).forEach((block) => this.#onBlock(block));
    }
  }

  #onBlock({ id, event, data }) {
    if (id) this.#lastId = id;
    if (!event) return;
    if (event !== "gap") this.#listener.onEvent(JSON.parse(data));
    this.poll().catch(() => {}); // the regular poll reports a failure
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
  return problem instanceof Problem ? problem.message : "the connection was interrupted";
}
