/* Draw the small charts: probe time as a sparkline, share of answers as a bar. */

import { el, setAttribute, setText, svg } from "./dom.js";
import { probeTime } from "./format.js";

const WIDTH = 120;
const HEIGHT = 28;
const MAX_POINTS = 60;

/** The times of the last probes as a line. A lost probe is a red vertical line. */
export class Sparkline {
  constructor() {
    this.element = svg("svg", {
      class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    });
  }

  /** Show the probes, with the same scale for all members of a pool. */
  show(recent, top) {
    recent = recent.slice(-MAX_POINTS);
    setAttribute(this.element, "aria-label", described(recent));
    const step = WIDTH / Math.max(recent.length - 1, 1);
    const points = recent.map((probe, index) => [index * step, heightOf(probe, top), probe.passed]);
    this.element.replaceChildren(...lines(points), ...strokes(points));
  }
}

/** Return the time in seconds at the top of these members' charts.

    The scale is that of the usual light probe, so that its changes are visible. Whole downloads
    take longer and are cut off at the top. */
export function topOf(members) {
  const times = members
    .flatMap((member) => member.recent.filter((probe) => probe.passed))
    .map((probe) => probe.seconds)
    .sort((a, b) => a - b);
  return Math.max(0.001, 2.5 * (times[Math.floor(times.length * 0.8)] ?? 0));
}

function heightOf(probe, top) {
  return HEIGHT - 2 - (HEIGHT - 4) * Math.min(probe.seconds / top, 1);
}

/** Return a line for each run of passed probes. */
function lines(points) {
  const runs = [[]];
  for (const [x, y, passed] of points) {
    if (passed) runs.at(-1).push(`${x.toFixed(1)},${y.toFixed(1)}`);
    else runs.push([]);
  }
  return runs
    .filter((run) => run.length > 0)
    .map((run) => svg("polyline", { points: run.length > 1 ? run.join(" ") : `${run[0]} ${run[0]}` }));
}

function strokes(points) {
  return points
    .filter(([, , passed]) => !passed)
    .map(([x]) => svg("line", { x1: x.toFixed(1), x2: x.toFixed(1), y1: 1, y2: HEIGHT - 1 }));
}

function described(recent) {
  if (recent.length === 0) return "No probes to show";
  const passed = recent.filter((probe) => probe.passed).map((probe) => probe.seconds).sort((a, b) => a - b);
  const lost = recent.length - passed.length;
  const times = passed.length
    ? `median ${probeTime(passed[Math.floor(passed.length / 2)])}, longest ${probeTime(passed.at(-1))}`
    : "none passed";
  return `Last ${recent.length} probes: ${times}, ${lost} lost`;
}

/** A share between 0 and 1 as a bar, with a mark where it should end. */
export class Bar {
  constructor() {
    this.fill = svg("rect", { class: "fill", height: 10, width: 0 });
    this.mark = svg("line", { class: "due", y1: 0, y2: 10 });
    this.chart = svg(
      "svg",
      { class: "share", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      this.fill,
      this.mark,
    );
    this.number = el("span", { class: "number" });
    this.element = el("div", { class: "share-row" }, this.chart, this.number);
  }

  /** Show the actual share, and a mark at the expected one; null: there were no answers. */
  show(share, due) {
    setAttribute(this.fill, "width", ((share ?? 0) * 100).toFixed(1));
    setAttribute(this.mark, "visibility", due > 0 ? null : "hidden");
    for (const x of ["x1", "x2"]) setAttribute(this.mark, x, Math.min(due * 100, 99.4).toFixed(1));
    setText(this.number, share === null ? "none" : `${Math.round(share * 100)} %`);
  }
}
