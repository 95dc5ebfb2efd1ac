/* Show one member: standing, order, verdict, probe time, share, and the orders that are possible. */

import { Bar, Sparkline } from "./sparkline.js";
import { el, setAttribute, setText, setTexts } from "./dom.js";
import { badgeOf, capital, countOf, lengthOf, momentOf, probeTime } from "./format.js";

const OLD = 10_000; // milliseconds after which a verdict's age is shown
const FLASH = 2500;

const passed = (probe) => ["ok", "slow"].includes(probe.verdict);

export class MemberRow {
  #why = null;

  /** `card.order(kind, members, row)` is called for a button, `card.choose(name, isChosen)` for
      the box, and `card.chooseTag(tag)` for a tag. */
  constructor(card) {
    this.pick = el("input", { type: "checkbox", class: "pick", hidden: "" });
    this.pick.addEventListener("change", () => card.choose(this.member.name, this.pick.checked));
    this.name = el("strong");
    this.address = el("span", { class: "address" });
    this.tags = el("span", { class: "tags" });
    this.tags.addEventListener("click", ({ target }) => target.dataset.tag && card.chooseTag(target.dataset.tag));
    this.badge = el("span", { class: "badge" });
    this.since = el("span", { class: "note" });
    this.sentence = el("p", { class: "sentence" });
    this.reason = el("p", { class: "reason" });
    this.plan = el("p", { class: "reason plan" });
    this.safe = el("p", { class: "safe" });
    this.verdict = el("p", { class: "verdict" });
    this.warnings = el("ul", { class: "warnings", "aria-label": "Warnings" });
    this.spark = new Sparkline();
    this.took = el("span", { class: "number" });
    this.bar = new Bar();
    this.buttons = this.#makeButtons(card);
    this.element = this.#makeRow();
  }

  /** Show the member; `view` has the context: time, shares, and permissions. */
  show(member, view) {
    this.member = member;
    const badge = badgeOf(member);
    setAttribute(this.element, "data-tone", badge.tone);
    setText(this.name, member.name);
    setText(this.address, member.address);
    this.#showTags(view.mayOrder);
    setAttribute(this.pick, "aria-label", `Select ${member.name}`);
    this.pick.hidden = !view.mayOrder;
    this.pick.checked = view.chosen.has(member.name);
    setAttribute(this.element, "data-chosen", this.pick.checked ? "" : null);
    setText(this.badge, badge.word);
    setText(this.since, `for ${lengthOf(secondsSince(this.#sinceWhen(), view.now))}`);
    // For a healthy member the verdict is enough.
    setText(this.sentence, badge.tone === "ok" && member.last_probe ? "" : capital(member.sentence));
    this.#showOrder(view.now);
    this.#showProbe(view);
    this.bar.show(view.shares.share(member.name), member.share);
    this.#showButtons(view);
    this.#flash();
  }

  /** Put the focus on the first order that is possible. */
  focus() {
    [...this.orders.querySelectorAll("button")].find((button) => !button.hidden)?.focus();
  }

  /** Show the tags. If the user can give orders, a tag selects all members that have it. */
  #showTags(mayOrder) {
    const { tags, backup } = this.member;
    const content = JSON.stringify([mayOrder, backup, tags]);
    if (this.tags.dataset.content === content) return;
    this.tags.dataset.content = content;
    const tag = (name) => mayOrder
      ? el("button", { type: "button", "data-tag": name, title: `Select all with the tag ${name}` }, name)
      : el("span", {}, name);
    this.tags.replaceChildren(...(backup ? [el("span", {}, "backup")] : []), ...tags.map(tag));
  }

  #sinceWhen() {
    return this.member.override?.since ?? this.member.standing.since;
  }

  #showOrder(now) {
    const { override, plan, safe_after: safeAfter } = this.member;
    setText(this.reason, override ? orderSentence(override, now) : "");
    setText(this.plan, plan ? planSentence(plan, now) : "");
    const safe = Boolean(override && safeAfter);
    const left = safe ? (Date.parse(safeAfter) - now) / 1000 : 0;
    setAttribute(this.safe, "data-safe", safe ? String(left <= 0) : null);
    const sentence = left > 0
      ? `Safe to shut down in ${Math.ceil(left)} s`
      : `Safe to shut down since ${safeAfter ? momentOf(safeAfter, now) : ""}`;
    setText(this.safe, safe ? sentence : "");
  }

  #showProbe({ now, top }) {
    const { last_probe: probe, recent, drift } = this.member;
    const age = probe ? now - Date.parse(probe.at) : 0;
    const when = age > OLD ? ` (${lengthOf(age / 1000)} ago)` : "";
    setText(this.verdict, probe ? verdictOf(probe, this.member) + when : "");
    setAttribute(this.verdict, "data-passed", probe ? String(passed(probe)) : null);
    setTexts(this.warnings, "li", [...new Set([...drift, ...(probe?.warnings ?? [])])]);
    this.warnings.hidden = this.warnings.children.length === 0;
    this.spark.show(recent, top);
    setText(this.took, !probe ? "" : passed(probe) ? probeTime(probe.seconds) : "lost");
    setAttribute(this.took, "data-passed", probe ? String(passed(probe)) : null);
    setAttribute(this.bar.element, "title", `first in ${countOf(this.member.answers)} answers since the start`);
  }

  #showButtons({ mayOrder, mayForce, isLost }) {
    const { override, plan } = this.member;
    const { drain, change, force, resume } = this.buttons;
    const focused = Object.values(this.buttons).find((button) => button === document.activeElement);
    drain.hidden = !mayOrder || Boolean(override);
    resume.hidden = !mayOrder || !(override || plan);
    setText(resume, override ? "Resume" : "Cancel");
    change.hidden = !mayOrder || override?.order !== "drain";
    force.hidden = !mayForce;
    for (const button of Object.values(this.buttons)) {
      setAttribute(button, "aria-disabled", isLost ? "true" : null);
      setAttribute(button, "aria-label", `${button.textContent} ${this.member.name}`);
    }
    // If the focused button is hidden, the one that replaces it gets the focus.
    if (focused?.hidden) this.focus();
  }

  /** Highlight a change briefly. */
  #flash() {
    const changed = this.#why !== null && this.#why !== this.member.why;
    this.#why = this.member.why;
    if (!changed) return;
    this.element.classList.add("changed");
    setTimeout(() => this.element.classList.remove("changed"), FLASH);
  }

  #makeButtons(card) {
    const button = (kind, text, look = "") => {
      const made = el("button", { type: "button", class: look, hidden: "" }, text);
      made.addEventListener("click", () => {
        if (made.getAttribute("aria-disabled") !== "true") card.order(kind, [this.member], this);
      });
      return made;
    };
    return {
      drain: button("drain", "Drain"),
      resume: button("resume", "Resume", "strong"),
      change: button("drain", "Change", "quiet"),
      force: button("force", "Force", "quiet"),
    };
  }

  #makeRow() {
    const cell = (look, ...children) => el("td", { role: "cell", class: look }, ...children);
    this.orders = cell("orders", ...Object.values(this.buttons));
    return el(
      "tr",
      { role: "row" },
      el("th", { role: "rowheader", scope: "row", class: "member" }, el("div", { class: "named" }, this.pick, el("div", {}, this.name, this.address, this.tags))),
      cell("state", this.badge, this.since),
      cell("why", this.sentence, this.reason, this.plan, this.safe, this.verdict, this.warnings),
      cell("probe", this.spark.element, this.took),
      cell("answers", this.bar.element),
      this.orders,
    );
  }
}

/** Return the probe's sentence without the address, which the row already shows. */
function verdictOf({ sentence }, { address }) {
  const rest = sentence.startsWith(`${address} `) ? sentence.slice(address.length + 1) : sentence;
  return capital(rest);
}

function orderSentence(override, now) {
  const reason = override.reason ? `“${override.reason}”, ` : "";
  if (!override.until) return `${reason}until resumed`;
  const left = (Date.parse(override.until) - now) / 1000;
  const end = momentOf(override.until, now, { seconds: left < 600 });
  return `${reason}until ${end} (${lengthOf(left)} left)`;
}

function planSentence(plan, now) {
  const left = (Date.parse(plan.at) - now) / 1000;
  const reason = plan.reason ? `: “${plan.reason}”` : "";
  return `${capital(plan.sentence)} at ${momentOf(plan.at, now)} (in ${lengthOf(left)})${reason}`;
}

function secondsSince(text, now) {
  return (now - Date.parse(text)) / 1000;
}
