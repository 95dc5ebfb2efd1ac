/* Show the orders whose member is not in the config, and end one. */

import { byId, el, setAttribute, setChildren, setText } from "./dom.js";

const MEANS = { drain: "Drained", "force-up": "Forced in", "force-down": "Forced out" };

export class Orphans {
  #orders;
  #rows = new Map();

  /** `orders` opens the dialog for an order. */
  constructor(orders) {
    this.#orders = orders;
  }

  /** Show the orders; `view` has the permissions. */
  show(orphaned, view) {
    const shown = orphaned.map((order) => this.#row(order, view));
    for (const [key, row] of this.#rows) if (!shown.includes(row)) this.#rows.delete(key);
    byId("orphans").hidden = shown.length === 0;
    setChildren(byId("orphans-rows"), shown);
  }

  #row({ pool, member, address, order }, { mayOrder, isLost }) {
    const key = JSON.stringify([pool, member]);
    if (!this.#rows.has(key)) this.#rows.set(key, this.#makeRow({ pool, member }));
    const row = this.#rows.get(key);
    setText(row.querySelector("span"), `${MEANS[order] ?? order}: ${member}${address ? ` (${address})` : ""} in pool ${pool}`);
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
