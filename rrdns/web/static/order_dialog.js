/* The dialog of an order for one member or several: its reason, start and duration, the members
   that stay in rotation, and the guard's result, which is fetched before the admin confirms. */

import { memberPath, poolPath } from "./api.js";
import { byId, setText } from "./dom.js";
import { capital, isoOf, lengthOf, listOf, momentOf } from "./format.js";

const KINDS = {
  drain: { title: "Drain", means: "rrdns takes it out of the answers at once, and continues to probe it. Targets that are booting from it are not disturbed." },
  resume: { title: "Resume", means: "The current order ends, and a scheduled one is cancelled. Then the probes decide again." },
  force: { title: "Force", means: "The order overrides the probes." },
};
const ARE = { drain: "drained", resume: "resumed", "force-up": "forced in", "force-down": "forced out" };
const TAKES_OUT = ["drain", "force-down"];
const REFUSED = 409;
const OUTDATED = 412;
const DEBOUNCE = 200; // milliseconds without a change before the guard is called

export class Orders {
  #api;
  #listener;
  #request = null; // { kind, pool, members, origin, tag, fetching }
  #timer = null;
  #isPreview = false; // the guard box shows the result of a preview

  /** `listener` has onDone(sentence), for an order that was executed. */
  constructor(api, listener) {
    this.#api = api;
    this.#listener = listener;
    this.dialog = byId("order");
    this.form = this.dialog.querySelector("form");
    this.submit = this.form.querySelector("[type=submit]");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.form.querySelector("[value=cancel]").addEventListener("click", () => this.dialog.close());
    for (const [field, radio] of [["other", "lasting"], ["at", "starting"]]) {
      this.form.elements[field].addEventListener("input", () => {
        this.form.elements[radio].value = "other";
        this.#changed();
      });
    }
    this.form.addEventListener("change", () => this.#changed());
    this.dialog.addEventListener("close", () => {
      clearTimeout(this.#timer);
      this.#request?.origin.focus();
    });
  }

  /** Open the dialog that ends an order whose member is not in the config. */
  openOrphan(pool, member, origin) {
    this.open("resume", { name: pool, members: [] }, [{ name: member }], origin, { isOrphan: true });
    setText(byId("order-means"), "The order ends. No answer changes, since the config has no such member.");
  }

  /** Open the dialog for an order of a kind; `origin` gets the focus back. */
  open(kind, pool, members, origin, { isOrphan = false } = {}) {
    this.#request = { kind, pool, members, origin, tag: null };
    this.form.reset();
    this.#clearMessage();
    const { title, means } = KINDS[kind];
    setText(byId("order-title"), `${title} ${listOf(members.map(({ name }) => name))}`);
    setText(byId("order-means"), members.length > 1 ? `The order is for all of them or for none. ${means}` : means);
    setText(this.submit, title);
    byId("order-kinds").hidden = kind !== "force";
    byId("order-starts").hidden = byId("order-lengths").hidden = kind === "resume";
    if (kind === "force") this.form.elements.kind.value = members.every(({ standing }) => standing.up) ? "force-down" : "force-up";
    if (kind === "drain" && members[0].override) this.form.elements.reason.value = members[0].override.reason;
    this.#showLeft();
    this.dialog.showModal();
    this.form.elements.reason.focus();
    // A pool that is not in the config cannot be fetched.
    this.#request.fetching = isOrphan ? null : this.#fetch(this.#request);
    this.#preview();
  }

  /** Update the state of the dialog's pool. */
  update(pools) {
    if (!this.dialog.open) return;
    const pool = pools.find(({ name }) => name === this.#request.pool.name);
    if (pool) this.#request.pool = pool;
    this.#showLeft();
  }

  /** Fetch the state that the admin sees, with its tag: the API refuses an order on another state. */
  async #fetch(request) {
    try {
      const { value, tag } = await this.#api.getTagged(`${poolPath(request.pool.name)}?recent=0`);
      request.tag = tag;
      request.pool = value;
      this.#showLeft();
    } catch (problem) {
      this.#showMessage(problem.message);
    }
  }

  #changed() {
    this.#showLeft();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#preview(), DEBOUNCE);
  }

  /** Fetch the guard's result, and show it before the admin confirms. */
  async #preview() {
    const request = this.#request;
    if (!this.dialog.open || this.#missingField()) return;
    try {
      const done = await this.#post(request, { dry_run: true });
      if (request !== this.#request || !this.dialog.open) return;
      if (done.guard) this.#warn(done.guard);
      else if (this.#isPreview) this.#clearMessage();
    } catch {
      // An error is shown when the order is given.
    }
  }

  #action() {
    const { kind } = this.#request;
    return kind === "force" ? this.form.elements.kind.value : kind;
  }

  #showLeft() {
    if (!this.#request) return;
    const { pool, members } = this.#request;
    const ordered = new Set(members.map(({ name }) => name));
    const rest = pool.members.filter((member) => member.in && !ordered.has(member.name)).map(({ name }) => name);
    const remaining = rest.length ? `${listOf(rest)} ${rest.length > 1 ? "stay" : "stays"} in.` : "No other member is in.";
    const start = this.#start();
    const left = start ? (start - this.#api.now()) / 1000 : 0;
    const when = start ? `Starts in ${lengthOf(left)}, if the guard allows it then. ` : "";
    setText(byId("order-left"), when + (TAKES_OUT.includes(this.#action()) ? remaining : ""));
  }

  /** Return the start of the order in milliseconds; null: now. */
  #start() {
    const { starting, at } = this.form.elements;
    const start = starting.value === "other" ? new Date(at.value).getTime() : NaN;
    return this.#request.kind !== "resume" && Number.isFinite(start) ? start : null;
  }

  #body() {
    const { reason, lasting: chosen, other, force } = this.form.elements;
    const order = { reason: reason.value.trim() };
    if (this.#action() === "resume") return order;
    const lasting = chosen.value === "other" ? other.value.trim() : chosen.value;
    const start = this.#start();
    if (lasting) order.for = lasting;
    if (start) order.at = isoOf(start);
    if (force.checked) order.force = true;
    return order;
  }

  #post(request, more) {
    const { pool, members, tag } = request;
    const body = { ...this.#body(), ...more };
    if (members.length === 1) {
      return this.#api.post(`${memberPath(pool.name, members[0].name)}/${this.#action()}`, body, more.dry_run ? null : tag);
    }
    const names = members.map(({ name }) => name);
    return this.#api.post(`v1/orders/${this.#action()}`, { ...body, pool: pool.name, members: names });
  }

  /** Return an empty field that needs a value, with a message; null if there is none. */
  #missingField() {
    const { lasting, other, starting, at } = this.form.elements;
    if (this.#request.kind === "resume") return null;
    if (lasting.value === "other" && !other.value.trim()) return [other, "Enter a duration, for example 1h30m."];
    if (starting.value === "other" && !at.value) return [at, "Enter the start time."];
    return null;
  }

  async #send() {
    const request = this.#request;
    const missing = this.#missingField();
    if (missing) {
      this.#showMessage(missing[1]);
      missing[0].focus();
      return;
    }
    const action = this.#action();
    this.submit.disabled = true;
    try {
      await request.fetching;
      const done = await this.#post(request, {});
      this.#listener.onDone(doneSentence(action, done, this.#start() !== null, this.#api.now()));
      this.dialog.close();
    } catch (problem) {
      this.#refused(problem);
    } finally {
      this.submit.disabled = false;
    }
  }

  #refused(problem) {
    this.#showMessage(sentence(problem.message));
    if (problem.status === REFUSED && this.#action() !== "resume") this.#offerForce(true);
    if (problem.status === OUTDATED) {
      this.#showMessage("The pool changed since you opened this dialog. Check which members stay in, then confirm.");
      this.#request.fetching = this.#fetch(this.#request);
    }
  }

  #warn(guard) {
    const later = this.#start() ? "In the current state rrdns will refuse it at its start: " : "";
    this.#showMessage(sentence(later + guard));
    this.#offerForce(false);
    this.#isPreview = true;
  }

  #offerForce(isUrgent) {
    const label = byId("order-force");
    setText(label.querySelector("span"), `${KINDS[this.#request.kind].title} anyway; the audit trail records this`);
    label.hidden = false;
    if (isUrgent) this.form.elements.force.focus();
  }

  #showMessage(text) {
    this.#isPreview = false;
    byId("order-guard").hidden = false;
    setText(byId("order-said"), text);
  }

  #clearMessage() {
    this.#isPreview = false;
    setText(byId("order-said"), "");
    byId("order-guard").hidden = byId("order-force").hidden = true;
    this.form.elements.force.checked = false;
  }
}

function doneSentence(action, done, isLater, now) {
  const members = (done.members ?? [done]).map(({ member }) => member);
  const names = listOf(members.map(({ name }) => name));
  const are = members.length > 1 ? "are" : "is";
  if (!done.changed) return `${names}: no change, the order was already in force.`;
  const plan = members[0].plan;
  if (isLater && plan) return `${names} will be ${ARE[action]} at ${momentOf(plan.at, now)}.`;
  const isOut = TAKES_OUT.includes(action) && members.every((member) => !member.in);
  return `${names} ${are} ${ARE[action]}.${isOut ? ` Safe to shut down after ${momentOf(done.safe_after, now)}.` : ""}`;
}

function sentence(text) {
  const first = capital(text);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
