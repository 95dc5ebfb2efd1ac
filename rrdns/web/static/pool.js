/* Show one pool: the number of members in rotation, its settings, and its members. */

import { topOf } from "./sparkline.js";
import { Choice } from "./selection.js";
import { el, setAttribute, setChildren, setText, setTexts } from "./dom.js";
import { Explanation } from "./explain.js";
import { MemberRow } from "./member.js";
import { badgeOf, countOf, lengthOf, secondsOf } from "./format.js";

const EMPTY = {
  "serve-all": "all undrained members if none is healthy",
  servfail: "SERVFAIL if no member is healthy",
  silent: "no answer if no member is healthy",
};
const TONES = ["bad", "warn", "order", "ok"]; // the worst first

export class PoolCard {
  #rows = new Map();

  constructor(api, orders, id) {
    this.orders = orders;
    this.choice = new Choice((kind, members, origin) => this.order(kind, members, origin), () => this.#again());
    this.explanation = new Explanation(api);
    this.title = el("h2", { id });
    this.score = el("p", { class: "score" });
    this.in = el("strong");
    this.of = el("span");
    this.score.append(this.in, this.of);
    this.told = el("p", { class: "told" });
    this.facts = el("ul", { class: "facts", "aria-label": "Settings" });
    this.shout = el("div", { class: "shout", role: "alert" });
    this.window = el("span");
    this.body = el("tbody", { role: "rowgroup" });
    this.element = el(
      "section",
      { class: "pool", "aria-labelledby": id },
      el("header", {}, this.score, el("div", {}, this.title, this.told, this.facts)),
      this.shout,
      el("table", { role: "table", "aria-labelledby": id }, this.#head(), this.body),
      this.choice.element,
      this.explanation.element,
    );
  }

  /** Open the dialog of an order for members of this pool. */
  order(kind, members, origin) {
    this.orders.open(kind, this.pool, members, origin);
  }

  /** Select or deselect a member. */
  choose(name, isChosen) {
    this.choice.set(name, isChosen);
  }

  /** Select all members with a tag. */
  chooseTag(tag) {
    this.choice.setTag(tag);
  }

  /** Show the pool; `view` has the context: time, shares, alarms and permissions. */
  show(pool, view) {
    this.pool = pool;
    this.view = view;
    this.choice.show(pool, view);
    setAttribute(this.element, "data-tone", toneOf(pool));
    setText(this.title, pool.hostname);
    const inside = pool.members.filter((member) => member.in).length;
    // Members in rotation as a last resort must not look healthy.
    setText(this.in, pool.everything_down ? "0" : String(inside));
    setText(this.of, ` of ${pool.members.length} ${pool.everything_down ? "healthy" : "in"}`);
    setText(this.told, toldOf(pool, view.shares));
    setTexts(this.facts, "li", factsOf(pool));
    this.#showShout(pool, view);
    setText(this.window, view.shares.seconds >= 1 ? `, last ${lengthOf(view.shares.seconds)}` : "");
    this.#showRows(pool, { ...view, chosen: this.choice.names });
  }

  /** Refresh the explanation. */
  explain() {
    this.explanation.show(this.pool);
  }

  #again() {
    this.show(this.pool, this.view);
  }

  #showShout(pool, { alarms }) {
    this.shout.hidden = !pool.everything_down;
    if (!pool.everything_down) {
      this.shout.replaceChildren();
      return;
    }
    if (this.shout.children.length === 0) this.shout.append(el("strong", {}, "Everything is down"), el("span"));
    const alarm = alarms.find(({ name, pool: of }) => name === "everything-down" && of === pool.name);
    setText(this.shout.lastElementChild, alarm?.sentence ?? "no member is healthy");
  }

  #showRows(pool, view) {
    const top = topOf(pool.members);
    const rows = new Map(pool.members.map(({ name }) => [name, this.#rows.get(name) ?? new MemberRow(this)]));
    this.#rows = rows;
    for (const member of pool.members) rows.get(member.name).show(member, { ...view, top });
    setChildren(this.body, pool.members.map(({ name }) => rows.get(name).element));
  }

  #head() {
    const column = (look, ...children) => el("th", { role: "columnheader", scope: "col", class: look }, ...children);
    return el(
      "thead",
      { role: "rowgroup" },
      el(
        "tr",
        { role: "row" },
        column("member", "Member"),
        column("state", "State"),
        column("why", "Why"),
        column("probe", "Probe time"),
        el("th", { role: "columnheader", scope: "col", class: "answers", title: "How often each member was first; the mark is its expected share" }, "Answers", this.window),
        column("orders", el("span", { class: "unseen" }, "Orders")),
      ),
    );
  }
}

/** Return the worst tone of a pool and its members. */
export function toneOf(pool) {
  if (pool.everything_down) return "bad";
  const tones = pool.members.map((member) => badgeOf(member).tone);
  const worst = TONES.find((tone) => tones.includes(tone)) ?? "ok";
  // One member down is a warning for the pool; only all of them down is an alarm.
  return worst === "bad" ? "warn" : worst;
}

/** Return whether a name of a pool or of its members contains a text. */
export function matches(pool, text) {
  const own = [pool.name, pool.hostname];
  const members = pool.members.flatMap(({ name, address, tags }) => [name, address, ...tags]);
  return [...own, ...members].some((name) => name.toLowerCase().includes(text));
}

function toldOf(pool, shares) {
  const counts = new Map();
  for (const member of pool.members.filter((member) => !member.in)) {
    const { word } = badgeOf(member);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const out = [...counts].map(([word, count]) => `${count} ${word.toLowerCase()}`);
  const rate = shares.seconds >= 4 ? [`${(shares.total / shares.seconds).toFixed(1)} answers/s`] : [];
  const warned = pool.members.filter(({ drift, last_probe: probe }) => drift.length + (probe?.warnings.length ?? 0));
  const warnings = warned.length ? [`${warned.length} with a warning`] : [];
  return [`Pool ${pool.name}`, ...out, ...warnings, ...rate].join(" · ");
}

function factsOf(pool) {
  return [
    `TTL ${pool.ttl} s`,
    `a failed server is out within ${secondsOf(pool.detection)}, and out of every cache within ${secondsOf(pool.worst_case)}`,
    `at most ${countOf(pool.answers)} addresses per answer, ${pool.policy}`,
    `at least ${pool.min_members} in`,
    EMPTY[pool.on_empty] ?? pool.on_empty,
  ];
}
