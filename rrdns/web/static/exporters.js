/* Show the exporters and webhooks: their deliveries, and which of them are behind. */

import { byId, el, setAttribute } from "./dom.js";
import { countOf, lengthOf, momentOf } from "./format.js";

const INTERVAL = 5000; // milliseconds between two refreshes

export class Exporters {
  #api;
  #refreshedAt = 0;
  #isRefreshing = false;

  constructor(api) {
    this.#api = api;
  }

  /** Refresh, at most once per interval. */
  async refresh() {
    if (this.#isRefreshing || Date.now() - this.#refreshedAt < INTERVAL) return;
    this.#isRefreshing = true;
    try {
      const [{ exporters }, { webhooks }] = await Promise.all([this.#api.get("v1/exporters"), this.#api.get("v1/webhooks")]);
      this.#refreshedAt = Date.now();
      this.#show([...exporters, ...webhooks.map(asExporter)]);
    } catch {
      // The page shows a lost connection elsewhere; the rows do not change.
    } finally {
      this.#isRefreshing = false;
    }
  }

  #show(exporters) {
    byId("exporters").hidden = exporters.length === 0;
    byId("exporters-rows").replaceChildren(...exporters.map((exporter) => row(exporter, this.#api.now())));
  }
}

/** Return a webhook for events as if it were an exporter. */
function asExporter(webhook) {
  const { waiting, dropped, origin, events, pools } = webhook;
  const late = waiting ? [`${countOf(waiting)} ${waiting > 1 ? "events" : "event"} in the queue`] : [];
  const gone = dropped ? [`${countOf(dropped)} dropped, since the queue was full`] : [];
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
  return lastSuccess ? { tone: "ok", word: "Delivered" } : { tone: "idle", word: "Waiting" };
}

function sentencesOf(exporter, now) {
  const { failing, last_success: lastSuccess, last_error: error, last_error_at: errorAt, next_try: nextTry, note } = exporter;
  const lines = [lastSuccess ? `Last delivery at ${momentOf(lastSuccess, now)}` : "No delivery since the start"];
  if (failing && nextTry) lines.push(`${error}; next try in ${lengthOf((Date.parse(nextTry) - now) / 1000)}`);
  else if (failing) lines.push(error);
  else if (error && errorAt) lines.push(`Last failure at ${momentOf(errorAt, now)}: ${error}`);
  return note ? [...lines, note] : lines;
}
