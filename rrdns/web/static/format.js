/* Say states, times and amounts in words. */

const COUNT = new Intl.NumberFormat("en");
const DAY = 86_400_000;

/** The badge of each `why` of the API: a tone for the eye, and a word. The API has the sentence. */
const BADGES = {
  healthy: { tone: "ok", word: "In" },
  assumed: { tone: "warn", word: "In" },
  "awaiting-probe": { tone: "idle", word: "New" },
  "forced-up": { tone: "order", word: "Forced in" },
  "last-resort": { tone: "bad", word: "Last resort" },
  down: { tone: "bad", word: "Down" },
  drained: { tone: "order", word: "Drained" },
  "forced-down": { tone: "order", word: "Forced out" },
  standby: { tone: "idle", word: "Standby" },
  "no-member": { tone: "warn", word: "Not in the config" },
};

const DEEDS = {
  drain: "drained", "force-up": "forced in", "force-down": "forced out", resume: "resumed",
  expire: "order ended", plan: "ordered for later", cancel: "order for later cancelled",
  refused: "order for later refused", standing: "standing", drift: "drift", warning: "warning",
  start: "rrdns started", stop: "rrdns stopped", reload: "config reloaded",
  "reload-failed": "config refused", "order-moved": "order follows its server",
  "order-orphaned": "order without a member", "order-stays": "order kept",
};

/** Return the badge of a member. */
export function badgeOf(member) {
  const badge = BADGES[member.why] ?? { tone: "warn", word: member.why };
  const doubted = member.why === "healthy" && member.standing.contradicting_probes > 0;
  const sick = member.why === "forced-up" && !member.standing.up;
  return { ...badge, tone: doubted || sick ? "warn" : badge.tone };
}

/** Return what an audit entry or event says was done. */
export function deedOf(entry) {
  const deed = DEEDS[entry.action] ?? entry.action;
  if (entry.action !== "standing") return deed;
  return entry.after === "up" ? "came up" : entry.after === "down" ? "fell" : entry.after;
}

/** Return an event as one sentence, or nothing when it is not for people. */
export function eventSentence(event) {
  if (event.kind === "alarm") return `Alarm: ${event.sentence}`;
  if (event.kind === "alarm-over") return `Over: ${event.name}${event.pool ? ` of pool ${event.pool}` : ""}`;
  if (!event.action) return "";
  const whom = event.member ? `${event.member} of pool ${event.pool}: ` : "";
  const by = event.by && event.by !== "rrdns" ? ` by ${event.by}` : "";
  return `${whom}${deedOf(event)}${by}${event.reason ? ` (${event.reason})` : ""}`;
}

/** Return a length of time, as short as is still of use. */
export function lengthOf(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 36) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** Return a number of seconds with one decimal where it says something. */
export function secondsOf(seconds) {
  return `${Number(seconds.toFixed(1))} s`;
}

/** Return how long a probe took. */
export function probeTime(seconds) {
  const milliseconds = seconds * 1000;
  if (milliseconds >= 1000) return `${seconds.toFixed(1)} s`;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/** Return a moment on the clock of whoever looks; another day is named. */
export function momentOf(text, now, { seconds = true } = {}) {
  const moment = new Date(text);
  const clock = moment.toLocaleTimeString("en-GB", seconds ? {} : { hour: "2-digit", minute: "2-digit" });
  const away = Math.abs(moment.getTime() - now);
  if (away < DAY && moment.getDate() === new Date(now).getDate()) return clock;
  const day = away < 6 * DAY ? moment.toLocaleDateString("en-GB", { weekday: "short" }) : moment.toLocaleDateString("en-CA");
  return `${day} ${clock}`;
}

/** Return a moment in milliseconds as the API takes it. */
export function isoOf(milliseconds) {
  return new Date(milliseconds).toISOString();
}

/** Return a count with its thousands apart. */
export function countOf(number) {
  return COUNT.format(number);
}

/** Return a text with a capital at its beginning. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return names as an English list. */
export function listOf(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
