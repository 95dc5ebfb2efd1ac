/* Ask for an order, for one member or several: its reason, start and length, who is left, and
   the guard's word, which is asked for before anybody confirms. */

import { memberPath, poolPath } from "./api.js";
import { byId, setText } from "./dom.js";
import { capital, isoOf, lengthOf, listOf, momentOf } from "./format.js";

const KINDS = {
  drain: { title: "Drain", means: "Out of the answers at once, and probed on. Targets that boot from there now are not disturbed." },
  resume: { title: "Resume", means: "What is ordered ends, and what was to come is cancelled; from then on the probes decide." },
  force: { title: "Force", means: "The probes are overruled." },
};
const ARE = { drain: "drained", resume: "resumed", "force-up": "forced in", "force-down": "forced out" };
const TAKES_OUT = ["drain", "force-down"];
const REFUSED = 409;
const OUTDATED = 412;
const CALM = 200; // milliseconds without a change before the guard is asked

export class Orders {
  #api;
  #told;
  #asked = null; // { kind, pool, members, origin, tag, looking }
  #timer = null;
  #isForeseen = false; // what the guard box says is a preview's word

  /** `told` has onDone(sentence): an order was carried out. */
  constructor(api, told) {
    this.#api = api;
    this.#told = told;
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
      this.#asked?.origin.focus();
    });
  }

  /** Open the dialog that ends an order whose member is not in the config. */
  openOrphan(pool, member, origin) {
    this.open("resume", { name: pool, members: [] }, [{ name: member }], origin, { isOrphan: true });
    setText(byId("order-means"), "The order ends. No answer changes, as the config has no such member.");
  }

  /** Open the dialog for an order of a kind; `origin` gets the focus back. */
  open(kind, pool, members, origin, { isOrphan = false } = {}) {
    this.#asked = { kind, pool, members, origin, tag: null };
    this.form.reset();
    this.#sayNothing();
    const { title, means } = KINDS[kind];
    setText(byId("order-title"), `${title} ${listOf(members.map(({ name }) => name))}`);
    setText(byId("order-means"), members.length > 1 ? `For all of them or for none. ${means}` : means);
    setText(this.submit, title);
    byId("order-kinds").hidden = kind !== "force";
    byId("order-starts").hidden = byId("order-lengths").hidden = kind === "resume";
    if (kind === "force") this.form.elements.kind.value = members.every(({ standing }) => standing.up) ? "force-down" : "force-up";
    if (kind === "drain" && members[0].override) this.form.elements.reason.value = members[0].override.reason;
    this.#showLeft();
    this.dialog.showModal();
    this.form.elements.reason.focus();
    // A pool that is in the config no more cannot be looked at.
    this.#asked.looking = isOrphan ? null : this.#look(this.#asked);
    this.#foresee();
  }

  /** Take in a newer view of the pool that the dialog is about. */
  update(pools) {
    if (!this.dialog.open) return;
    const pool = pools.find(({ name }) => name === this.#asked.pool.name);
    if (pool) this.#asked.pool = pool;
    this.#showLeft();
  }

  /** Remember the state of the pool that the admin sees: an order on another one is refused. */
  async #look(asked) {
    try {
      const { value, tag } = await this.#api.getTagged(`${poolPath(asked.pool.name)}?recent=0`);
      asked.tag = tag;
      asked.pool = value;
      this.#showLeft();
    } catch (problem) {
      this.#say(problem.message);
    }
  }

  #changed() {
    this.#showLeft();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#foresee(), CALM);
  }

  /** Ask what the guard would say, and show it before anybody confirms. */
  async #foresee() {
    const asked = this.#asked;
    if (!this.dialog.open || this.#isUnfinished()) return;
    try {
      const done = await this.#post(asked, { dry_run: true });
      if (asked !== this.#asked || !this.dialog.open) return;
      if (done.guard) this.#warn(done.guard);
      else if (this.#isForeseen) this.#sayNothing();
    } catch {
      // Whatever is wrong is said when the order is given.
    }
  }

  #action() {
    const { kind } = this.#asked;
    return kind === "force" ? this.form.elements.kind.value : kind;
  }

  #showLeft() {
    if (!this.#asked) return;
    const { pool, members } = this.#asked;
    const meant = new Set(members.map(({ name }) => name));
    const rest = pool.members.filter((one) => one.in && !meant.has(one.name)).map(({ name }) => name);
    const who = rest.length ? `${listOf(rest)} ${rest.length > 1 ? "stay" : "stays"} in.` : "Nobody else is in.";
    const start = this.#start();
    const left = start ? (start - this.#api.now()) / 1000 : 0;
    const when = start ? `Begins in ${lengthOf(left)}, if the guard agrees then. ` : "";
    setText(byId("order-left"), when + (TAKES_OUT.includes(this.#action()) ? who : ""));
  }

  /** Return when the order shall begin, in milliseconds; null: now. */
  #start() {
    const { starting, at } = this.form.elements;
    const start = starting.value === "other" ? new Date(at.value).getTime() : NaN;
    return this.#asked.kind !== "resume" && Number.isFinite(start) ? start : null;
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

  #post(asked, more) {
    const { pool, members, tag } = asked;
    const body = { ...this.#body(), ...more };
    if (members.length === 1) {
      return this.#api.post(`${memberPath(pool.name, members[0].name)}/${this.#action()}`, body, more.dry_run ? null : tag);
    }
    const names = members.map(({ name }) => name);
    return this.#api.post(`v1/orders/${this.#action()}`, { ...body, pool: pool.name, members: names });
  }

  /** Return what is chosen and not said yet, as the field and what to say of it. */
  #isUnfinished() {
    const { lasting, other, starting, at } = this.form.elements;
    if (this.#asked.kind === "resume") return null;
    if (lasting.value === "other" && !other.value.trim()) return [other, "Say for how long, such as 1h30m."];
    if (starting.value === "other" && !at.value) return [at, "Say when it is to begin."];
    return null;
  }

  async #send() {
    const asked = this.#asked;
    const unfinished = this.#isUnfinished();
    if (unfinished) {
      this.#say(unfinished[1]);
      unfinished[0].focus();
      return;
    }
    const action = this.#action();
    this.submit.disabled = true;
    try {
      await asked.looking;
      const done = await this.#post(asked, {});
      this.#told.onDone(doneSentence(action, done, this.#start() !== null, this.#api.now()));
      this.dialog.close();
    } catch (problem) {
      this.#refused(problem);
    } finally {
      this.submit.disabled = false;
    }
  }

  #refused(problem) {
    this.#say(sentence(problem.message));
    if (problem.status === REFUSED && this.#action() !== "resume") this.#offerForce(true);
    if (problem.status === OUTDATED) {
      this.#say("Something changed since you opened this. Look again who stays in, then confirm.");
      this.#asked.looking = this.#look(this.#asked);
    }
  }

  #warn(guard) {
    const later = this.#start() ? "As things are now it will be refused then: " : "";
    this.#say(sentence(later + guard));
    this.#offerForce(false);
    this.#isForeseen = true;
  }

  #offerForce(isUrgent) {
    const label = byId("order-force");
    setText(label.querySelector("span"), `${KINDS[this.#asked.kind].title} all the same; the audit trail will say so`);
    label.hidden = false;
    if (isUrgent) this.form.elements.force.focus();
  }

  #say(text) {
    this.#isForeseen = false;
    byId("order-guard").hidden = false;
    setText(byId("order-said"), text);
  }

  #sayNothing() {
    this.#isForeseen = false;
    setText(byId("order-said"), "");
    byId("order-guard").hidden = byId("order-force").hidden = true;
    this.form.elements.force.checked = false;
  }
}

function doneSentence(action, done, isLater, now) {
  const members = (done.members ?? [done]).map(({ member }) => member);
  const who = listOf(members.map(({ name }) => name));
  const are = members.length > 1 ? "are" : "is";
  if (!done.changed) return `${who}: nothing to change, it was so before.`;
  const plan = members[0].plan;
  if (isLater && plan) return `${who} will be ${ARE[action]} at ${momentOf(plan.at, now)}.`;
  const isOut = TAKES_OUT.includes(action) && members.every((member) => !member.in);
  return `${who} ${are} ${ARE[action]}.${isOut ? ` Safe to take down after ${momentOf(done.safe_after, now)}.` : ""}`;
}

function sentence(text) {
  const first = capital(text);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
