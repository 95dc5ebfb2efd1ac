/* Remember which members of a pool are chosen, and offer orders for all of them at once. */

import { el, setAttribute, setText } from "./dom.js";
import { listOf } from "./format.js";

const LONG = 6; // names beyond which a count says more

export class Choice {
  #names = new Set();

  /** `order(kind, members, choice)` is called for a button, `changed()` after a change. */
  constructor(order, changed) {
    this.changed = changed;
    this.said = el("span", { role: "status" });
    const button = (kind, text, look = "") => {
      const made = el("button", { type: "button", class: look }, text);
      made.addEventListener("click", () => {
        if (made.getAttribute("aria-disabled") !== "true") order(kind, this.members, this);
      });
      return made;
    };
    this.drain = button("drain", "Drain them", "strong");
    this.resume = button("resume", "Resume them");
    this.force = button("force", "Force them", "quiet");
    const clear = el("button", { type: "button", class: "quiet" }, "Clear");
    clear.addEventListener("click", () => this.clear());
    this.element = el(
      "div",
      { class: "chosen", role: "group", "aria-label": "Orders for the selected members", hidden: "" },
      this.said, this.drain, this.resume, this.force, clear,
    );
  }

  get names() {
    return this.#names;
  }

  /** Return the chosen members as they are now, in the pool's order. */
  get members() {
    return this.pool.members.filter(({ name }) => this.#names.has(name));
  }

  /** Choose a member, or choose it no more. */
  set(name, isChosen) {
    if (isChosen) this.#names.add(name);
    else this.#names.delete(name);
    this.changed();
  }

  /** Choose all with a tag; where all of them are chosen, choose them no more. */
  setTag(tag) {
    const names = this.pool.members.filter(({ tags }) => tags.includes(tag)).map(({ name }) => name);
    const areChosen = names.every((name) => this.#names.has(name));
    for (const name of names) {
      if (areChosen) this.#names.delete(name);
      else this.#names.add(name);
    }
    this.changed();
  }

  /** Choose nobody. */
  clear() {
    this.#names.clear();
    this.changed();
  }

  /** Put the focus where it is of use after an order. */
  focus() {
    [this.drain, this.resume].find((button) => !button.hidden)?.focus();
  }

  /** Show what is chosen of the pool; who is no more there is chosen no more. */
  show(pool, { mayOrder, mayForce, isLost }) {
    this.pool = pool;
    const there = new Set(pool.members.map(({ name }) => name));
    for (const name of this.#names) if (!mayOrder || !there.has(name)) this.#names.delete(name);
    const { members } = this;
    this.element.hidden = members.length === 0;
    const names = members.map(({ name }) => name);
    setText(this.said, names.length > LONG ? `${names.length} selected` : names.length ? `Selected: ${listOf(names)}` : "");
    const focused = document.activeElement;
    this.resume.hidden = !members.some(({ override, plan }) => override || plan);
    this.drain.hidden = members.every(({ override }) => override);
    this.force.hidden = !mayForce;
    for (const button of [this.drain, this.resume, this.force]) setAttribute(button, "aria-disabled", isLost ? "true" : null);
    // A button that goes away leaves the focus to the one that takes its place.
    if (focused?.hidden && this.element.contains(focused)) this.focus();
  }
}
