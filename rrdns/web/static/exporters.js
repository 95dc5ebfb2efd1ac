/* Show what other systems were told: exporters of the answers, webhooks of the events; and which
   of them are behind. */

import { byId, el, setAttribute } from "./dom.js";
import { countOf, lengthOf, momentOf } from "./format.js";

const TIMEOUT = 5000; // milliseconds between two looks

export class Exporters {
  #api;
  #lookedAt = 0;
  #asking = false;

  constructor(api) {
    this.#api = api;
  }

  /** Look again, unless that was a moment ago. */
  async refresh() {
    if (this.#asking || Date.now() - this.#lookedAt < TIMEOUT) return;
    this.#asking = true;
    try {
      const [{ exporters }, { webhooks }] = await Promise.all([this.#api.get("v1/exporters"), this.#api.get("v1/webhooks")]);
      this.#lookedAt = Date.now();
      this.#show([...exporters, ...webhooks.map(asExporter)]);
    } catch {
      // The line's loss is said elsewhere; what is shown stays.
    } finally {
      this.#asking = false;
    }
  }

  #show(exporters) {
    byId("exporters").hidden = exporters.length === 0;
    byId("exporters-rows").replaceChildren(...exporters.map((one) => row(one, this.#api.now())));
  }
}

/** Return a webhook for events as if it were an exporter. */
function asExporter(webhook) {
  const { waiting, dropped, origin, events, pools } = webhook;
  const late = waiting ? [`${countOf(waiting)} ${waiting > 1 ? "events wait" : "event waits"}`] : [];
  const gone = dropped ? [`${countOf(dropped)} dropped, as too many waited`] : [];
  return { ...webhook, kind: `${origin}: ${events.join(", ")}`, pending: waiting > 0, pools: pools.length ? pools : ["all"], note: [...late, ...gone].join("; ") };
}

function row(exporter, now) {
  const cell = (look, ...children) => el("td", { role: "cell", class: look }, ...children);
  const { tone, word } = stateOf(exporter);
  const made = el(
    "tr",
    { role: "row" },
    el("th", { role: "rowheader", scope: "row", class: "whom" }, el("strong", {}, exporter.name), el("span", { class: "note" }, exporter.kind)),
    cell("state", el("span", { class: "badge" }, word)),
    cell("reason", ...sentencesOf(exporter, now).map((text) => el("p", {}, text))),
    cell("pools", exporter.pools.join(", ")),
    cell("count", `${countOf(exporter.delivered)} delivered, ${countOf(exporter.failed)} failed`),
  );
  setAttribute(made, "data-tone", tone);
  return made;
}

function stateOf({ failing, pending, last_success: lastSuccess }) {
  if (failing) return { tone: "bad", word: "Failing" };
  if (pending) return { tone: "warn", word: "Behind" };
  return lastSuccess ? { tone: "ok", word: "Told" } : { tone: "idle", word: "Waiting" };
}

function sentencesOf(exporter, now) {
  const { failing, last_success: lastSuccess, last_error: error, last_error_at: errorAt, next_try: nextTry, note } = exporter;
  const said = [lastSuccess ? `Last told at ${momentOf(lastSuccess, now)}` : "Nothing told since the start"];
  if (failing && nextTry) said.push(`${error}; next try in ${lengthOf((Date.parse(nextTry) - now) / 1000)}`);
  else if (failing) said.push(error);
  else if (error && errorAt) said.push(`Failed last at ${momentOf(errorAt, now)}: ${error}`);
  return note ? [...said, note] : said;
}
