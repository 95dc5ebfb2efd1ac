/* The selected members of a pool, and the orders for all of them at once. */

import { el, setAttribute, setText } from "./dom.js";
import { listOf } from "./format.js";

const LONG = 6; // with more names, only their number is shown

export class Choice {
  #names = new Set();

  /** `order(kind, members, choice)` is called by a button, `changed()` after a change. */
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

  /** Return the selected members with their current state, in the pool's order. */
  get members() {
    return this.pool.members.filter(({ name }) => this.#names.has(name));
  }

  /** Select or deselect a member. */
  set(name, isChosen) {
    if (isChosen) this.#names.add(name);
    else this.#names.delete(name);
    this.changed();
  }

  /** Select all members with a tag; if all of them are selected, deselect them. */
  setTag(tag) {
    const names = this.pool.members.filter(({ tags }) => tags.includes(tag)).map(({ name }) => name);
    const areChosen = names.every((name) => this.#names.has(name));
    for (const name of names) {
      if (areChosen) this.#names.delete(name);
      else this.#names.add(name);
    }
    this.changed();
  }

  /** Deselect all members. */
  clear() {
    this.#names.clear();
    this.changed();
  }

  /** Put the focus on the first possible order. */
  focus() {
    [this.drain, this.resume].find((button) => !button.hidden)?.focus();
  }

  /** Show the selection in a pool; a member that is no longer there is deselected. */
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
    // If the focused button is hidden, the one that replaces it gets the focus.
    if (focused?.hidden && this.element.contains(focused)) this.focus();
  }
}
