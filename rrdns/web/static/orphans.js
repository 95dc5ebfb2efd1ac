/* Show the orders that fit no member of the config, and end one. */

import { byId, el, setAttribute, setChildren, setText } from "./dom.js";

const MEANS = { drain: "Drained", "force-up": "Forced in", "force-down": "Forced out" };

export class Orphans {
  #orders;
  #rows = new Map();

  /** `orders` opens the dialog for an order. */
  constructor(orders) {
    this.#orders = orders;
  }

  /** Show the orders as they are; `view` says who may end them. */
  show(orphaned, view) {
    const shown = orphaned.map((one) => this.#row(one, view));
    for (const [key, row] of this.#rows) if (!shown.includes(row)) this.#rows.delete(key);
    byId("orphans").hidden = shown.length === 0;
    setChildren(byId("orphans-rows"), shown);
  }

  #row(one, { mayOrder, isLost }) {
    const key = JSON.stringify([one.pool, one.member]);
    if (!this.#rows.has(key)) this.#rows.set(key, this.#makeRow(one));
    const row = this.#rows.get(key);
    const address = one.address ? ` (${one.address})` : "";
    setText(row.querySelector("span"), `${MEANS[one.order] ?? one.order}: ${one.member}${address} in pool ${one.pool}`);
    const button = row.querySelector("button");
    button.hidden = !mayOrder;
    setAttribute(button, "aria-disabled", isLost ? "true" : null);
    return row;
  }

  #makeRow({ pool, member }) {
    const button = el("button", { type: "button", class: "strong", "aria-label": `Resume ${member} of pool ${pool}` }, "Resume");
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") this.#orders.openOrphan(pool, member, button);
    });
    return el("li", {}, el("span"), button);
  }
}
