/* Show the next answers, why each member is in rotation or not, and what would change that. */

import { poolQuery } from "./api.js";
import { el, setText } from "./dom.js";
import { capital, lengthOf, momentOf, probeTime } from "./format.js";

const MAX_ANSWERS = 6;

export class Explanation {
  #api;
  #asking = false;

  constructor(api) {
    this.#api = api;
    this.next = el("ol", { class: "next" });
    this.sure = el("p", { class: "note" });
    this.members = el("dl", { class: "ways" });
    this.element = el(
      "details",
      { class: "explain" },
      el("summary", {}, "Next answers, and what would change them"),
      el("div", {}, this.next, this.sure, this.members),
    );
    this.element.addEventListener("toggle", () => this.show(this.pool));
  }

  /** Explain the pool, if the details are open. */
  async show(pool) {
    this.pool = pool;
    if (!this.element.open || this.#asking || !pool) return;
    this.#asking = true;
    try {
      const { pools } = await this.#api.get(`v1/explain?${poolQuery(pool.name)}`);
      this.#render(pools[0]);
    } catch (problem) {
      setText(this.sure, `The explanation could not be loaded: ${problem.message}`);
    } finally {
      this.#asking = false;
    }
  }

  #render({ next, sentence, members }) {
    const now = this.#api.now();
    const more = next.length > MAX_ANSWERS ? `; ${next.length - MAX_ANSWERS} more until the order repeats` : "";
    setText(this.sure, capital(sentence) + more + ".");
    renew(this.next, next.slice(0, MAX_ANSWERS).map((names) => [el("strong", {}, names[0]), names.length > 1 ? `, then ${names.slice(1).join(", ")}` : ""]), "li");
    const said = members.map((member) => [member.name, sentencesOf(member, now)]);
    if (this.members.dataset.said === JSON.stringify(said)) return;
    this.members.dataset.said = JSON.stringify(said);
    this.members.replaceChildren(...said.flatMap(([name, lines]) => [
      el("dt", {}, name),
      el("dd", {}, ...lines.map(({ text, command, look }) => el("p", { class: look }, text, command ? el("code", {}, command) : ""))),
    ]));
  }
}

function renew(parent, contents, tag) {
  const said = JSON.stringify(contents.map((parts) => parts.map((part) => part.textContent ?? part)));
  if (parent.dataset.said === said) return;
  parent.dataset.said = said;
  parent.replaceChildren(...contents.map((parts) => el(tag, {}, ...parts)));
}

function sentencesOf(member, now) {
  const { in: isIn, since, sentence, probe, would_change: changes } = member;
  const lines = [{ text: `${isIn ? "In" : "Out"} since ${momentOf(since, now)}: ${sentence}`, look: "since" }];
  if (probe) {
    lines.push({ text: `Last deciding probe: ${probe.sentence} (${probeTime(probe.seconds)}, ${momentOf(probe.at, now)})`, look: "note" });
  }
  for (const change of changes) lines.push({ ...changeOf(change, isIn, now), look: "note" });
  return lines;
}

function changeOf({ sentence, at, seconds, command }, isIn, now) {
  const soon = seconds === null ? "" : `, in about ${lengthOf(seconds)} at the earliest`;
  const when = at ? ` at ${momentOf(at, now)}` : "";
  const how = command ? (at ? "; to cancel it: " : ": ") : "";
  return { text: `${isIn ? "Out" : "In"} when ${sentence}${soon}${when}${how}`, command };
}
