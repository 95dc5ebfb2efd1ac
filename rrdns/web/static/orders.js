/* Ask for an order: its reason and length, who is left, and the guard's word. */

import { memberPath, poolPath } from "./api.js";
import { byId, setText } from "./dom.js";
import { listOf, momentOf } from "./words.js";

const KINDS = {
  drain: { title: "Drain", act: "Drain", means: "It leaves the answers at once and is probed on. Targets that boot from it now are not disturbed." },
  resume: { title: "Resume", act: "Resume", means: "The order ends, and one for later is cancelled; from then on the probes decide." },
  force: { title: "Force", act: "Force", means: "The probes are overruled." },
};
const DONE = { drain: "is drained", resume: "is resumed", "force-up": "is forced in", "force-down": "is forced out" };
const REFUSED = 409;
const OUTDATED = 412;

export class Orders {
  #api;
  #told;
  #asked = null; // { kind, pool, member, row, tag, looking }

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
    this.form.elements.other.addEventListener("input", () => {
      this.form.elements.lasting.value = "other";
    });
    this.form.addEventListener("change", () => this.#showLeft());
    this.dialog.addEventListener("close", () => this.#asked?.row.focus());
  }

  /** Open the dialog for an order of a kind. */
  open(kind, pool, member, row) {
    this.#asked = { kind, pool, member, row, tag: null };
    this.form.reset();
    this.#sayNothing();
    const { title, act, means } = KINDS[kind];
    setText(byId("order-title"), `${title} ${member.name}`);
    setText(byId("order-means"), means);
    setText(this.submit, act);
    byId("order-kinds").hidden = kind !== "force";
    byId("order-lengths").hidden = kind === "resume";
    if (kind === "force") this.form.elements.kind.value = member.standing.up ? "force-down" : "force-up";
    if (kind === "drain" && member.override) this.form.elements.reason.value = member.override.reason;
    this.#showLeft();
    this.dialog.showModal();
    this.form.elements.reason.focus();
    this.#asked.looking = this.#look(this.#asked);
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

  #action() {
    const { kind } = this.#asked;
    return kind === "force" ? this.form.elements.kind.value : kind;
  }

  #showLeft() {
    if (!this.#asked) return;
    const { pool, member } = this.#asked;
    const action = this.#action();
    const takesOut = action === "drain" || action === "force-down";
    const rest = pool.members.filter((one) => one.in && one.name !== member.name).map(({ name }) => name);
    const who = rest.length ? `${listOf(rest)} ${rest.length > 1 ? "stay" : "stays"} in.` : "Nobody else is in.";
    setText(byId("order-left"), takesOut ? who : "");
  }

  #body() {
    const { reason, lasting: chosen, other, force } = this.form.elements;
    const lasting = chosen.value === "other" ? other.value.trim() : chosen.value;
    const order = { reason: reason.value.trim(), ...(lasting ? { for: lasting } : {}) };
    if (this.#action() === "resume") return { reason: order.reason };
    return force.checked ? { ...order, force: true } : order;
  }

  async #send() {
    const asked = this.#asked;
    if (this.form.elements.lasting.value === "other" && !this.form.elements.other.value.trim()) {
      this.#say("Say for how long, such as 1h30m.");
      this.form.elements.other.focus();
      return;
    }
    const action = this.#action();
    this.submit.disabled = true;
    try {
      await asked.looking;
      const path = `${memberPath(asked.pool.name, asked.member.name)}/${action}`;
      const done = await this.#api.post(path, this.#body(), asked.tag);
      this.#told.onDone(doneSentence(action, done, this.#api.now()));
      this.dialog.close();
    } catch (problem) {
      this.#refused(problem);
    } finally {
      this.submit.disabled = false;
    }
  }

  #refused(problem) {
    this.#say(sentence(problem.message));
    if (problem.status === REFUSED && this.#action() !== "resume") {
      const label = byId("order-force");
      setText(label.querySelector("span"), `${KINDS[this.#asked.kind].act} it all the same; the audit trail will say so`);
      label.hidden = false;
      this.form.elements.force.focus();
    }
    if (problem.status === OUTDATED) {
      this.#say("Something changed since you opened this. Look again who stays in, then confirm.");
      this.#asked.looking = this.#look(this.#asked);
    }
  }

  #say(text) {
    byId("order-guard").hidden = false;
    setText(byId("order-said"), text);
  }

  #sayNothing() {
    setText(byId("order-said"), "");
    byId("order-guard").hidden = true;
    byId("order-force").hidden = true;
  }
}

function doneSentence(action, { member, safe_after: safeAfter, changed }, now) {
  if (!changed) return `${member.name}: nothing to change, it was so before.`;
  const safe = member.in ? "" : ` Safe to take down after ${momentOf(safeAfter, now)}.`;
  return `${member.name} ${DONE[action]}.${action === "drain" || action === "force-down" ? safe : ""}`;
}

function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
