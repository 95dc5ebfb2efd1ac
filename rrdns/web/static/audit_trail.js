/* Show the audit trail. */

import { byId, el, setAttribute, setText } from "./dom.js";
import { actionOf, momentOf } from "./format.js";

const PAGE = 15;
const DEBOUNCE = 300; // milliseconds in which several events cause one refresh

export class Trail {
  #api;
  #older = null; // the start of the next page
  #pages = 1;
  #timer = null;
  #options = "";

  constructor(api) {
    this.#api = api;
    byId("trail-more").addEventListener("click", () => this.#more());
    byId("trail-of").addEventListener("change", () => this.reset());
    byId("trail-export").addEventListener("click", () => this.#export());
  }

  /** Set the pools and members of the filter. */
  offer(pools) {
    const choices = [["", "everything"]];
    for (const pool of pools) {
      choices.push([`pool=${encodeURIComponent(pool.name)}`, `pool ${pool.name}`]);
      for (const { name } of pool.members) {
        choices.push([`pool=${encodeURIComponent(pool.name)}&member=${encodeURIComponent(name)}`, `${pool.name} / ${name}`]);
      }
    }
    const options = JSON.stringify(choices);
    if (options === this.#options) return;
    this.#options = options;
    const select = byId("trail-of");
    const chosen = select.value;
    select.replaceChildren(...choices.map(([value, text]) => el("option", { value }, text)));
    select.value = choices.some(([value]) => value === chosen) ? chosen : "";
  }

  /** Show the newest entries again. */
  reset() {
    this.#pages = 1;
    this.#fetch();
  }

  /** Refresh soon, after an event. */
  refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetch(), DEBOUNCE);
  }

  #path(limit, before) {
    const query = [`limit=${limit}`, ...(before ? [`before=${before}`] : []), byId("trail-of").value];
    return `v1/audit?${query.filter(Boolean).join("&")}`;
  }

  async #fetch() {
    await this.#try(async () => {
      const { entries, next } = await this.#api.get(this.#path(this.#pages * PAGE));
      byId("trail-rows").replaceChildren(...entries.map((entry) => this.#row(entry)));
      this.#setOlder(next);
      setText(byId("trail-said"), entries.length ? "" : "No entries yet.");
    });
  }

  async #more() {
    await this.#try(async () => {
      const { entries, next } = await this.#api.get(this.#path(PAGE, this.#older));
      byId("trail-rows").append(...entries.map((entry) => this.#row(entry)));
      this.#pages += 1;
      this.#setOlder(next);
    });
  }

  async #export() {
    await this.#try(async () => {
      const chosen = byId("trail-of").value;
      const file = await this.#api.getFile(`v1/audit/export${chosen ? `?${chosen}` : ""}`);
      const link = el("a", { href: URL.createObjectURL(file), download: "rrdns-audit.jsonl" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  async #try(act) {
    try {
      await act();
    } catch (problem) {
      setText(byId("trail-said"), `The audit trail could not be read: ${problem.message}`);
    }
  }

  #setOlder(next) {
    this.#older = next;
    byId("trail-more").hidden = next === null;
  }

  #row(entry) {
    const cell = (look, ...children) => el("td", { role: "cell", class: look }, ...children);
    const forced = entry.details.forced ? el("span", { class: "forced" }, "forced") : "";
    const row = el(
      "tr",
      { role: "row" },
      cell("when", el("time", { datetime: entry.at, title: entry.at }, momentOf(entry.at, this.#api.now()))),
      cell("by", entry.by),
      cell("did", actionOf(entry), forced),
      cell("whom", entry.member ? `${entry.pool} / ${entry.member}` : entry.pool),
      cell("reason", entry.reason || (entry.member ? "" : entry.after)),
    );
    setAttribute(row, "data-tone", toneOf(entry));
    return row;
  }
}

function toneOf({ action, after }) {
  if (action === "standing") return after === "up" ? "ok" : "bad";
  if (["drift", "warning", "reload-failed"].includes(action)) return "warn";
  return ["drain", "force-up", "force-down"].includes(action) ? "order" : "idle";
}
