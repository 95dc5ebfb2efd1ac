/* Show what other systems were told: DHCP servers, files, webhooks; and which of them are behind. */

import { byId, el, setAttribute } from "./dom.js";
import { countOf, lengthOf, momentOf } from "./words.js";

const PATIENCE = 5000; // milliseconds between two looks

export class Exporters {
  #api;
  #lookedAt = 0;
  #asking = false;

  constructor(api) {
    this.#api = api;
  }

  /** Look again, unless that was a moment ago. */
  async refresh() {
    if (this.#asking || Date.now() - this.#lookedAt < PATIENCE) return;
    this.#asking = true;
    try {
      const { exporters } = await this.#api.get("v1/exporters");
      this.#lookedAt = Date.now();
      this.#show(exporters);
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
    cell("count", `${countOf(exporter.told)} told, ${countOf(exporter.failed)} failed`),
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
