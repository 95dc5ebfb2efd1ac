/* Format states, times and amounts as text. */

const COUNT = new Intl.NumberFormat("en");
const DAY = 86_400_000;

/** The badge of each `why` of the API: a colour and a word. The API has the sentence. */
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

const ACTIONS = {
  drain: "drained", "force-up": "forced in", "force-down": "forced out", resume: "resumed",
  expire: "order expired", plan: "order scheduled", cancel: "scheduled order cancelled",
  refused: "scheduled order refused", standing: "standing", drift: "drift", warning: "warning",
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

/** Return the action of an audit entry or event in words. */
export function actionOf(entry) {
  const action = ACTIONS[entry.action] ?? entry.action;
  if (entry.action !== "standing") return action;
  return entry.after === "up" ? "came up" : entry.after === "down" ? "went down" : entry.after;
}

/** Return an event as one sentence, or "" if it has none. */
export function eventSentence(event) {
  if (event.kind === "alarm") return `Alarm: ${event.sentence}`;
  if (event.kind === "alarm-over") return `Over: ${event.name}${event.pool ? ` of pool ${event.pool}` : ""}`;
  if (!event.action) return "";
  const subject = event.member ? `${event.member} of pool ${event.pool}: ` : "";
  const by = event.by && event.by !== "rrdns" ? ` by ${event.by}` : "";
  return `${subject}${actionOf(event)}${by}${event.reason ? ` (${event.reason})` : ""}`;
}

/** Return a duration in one or two units. */
export function lengthOf(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 36) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** Return a number of seconds with at most one decimal. */
export function secondsOf(seconds) {
  return `${Number(seconds.toFixed(1))} s`;
}

/** Return the duration of a probe. */
export function probeTime(seconds) {
  const milliseconds = seconds * 1000;
  if (milliseconds >= 1000) return `${seconds.toFixed(1)} s`;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
}

/** Return a time in the time zone of the browser, with the day if it is another one. */
export function momentOf(text, now, { seconds = true } = {}) {
  const moment = new Date(text);
  const clock = moment.toLocaleTimeString("en-GB", seconds ? {} : { hour: "2-digit", minute: "2-digit" });
  const away = Math.abs(moment.getTime() - now);
  if (away < DAY && moment.getDate() === new Date(now).getDate()) return clock;
  const day = away < 6 * DAY ? moment.toLocaleDateString("en-GB", { weekday: "short" }) : moment.toLocaleDateString("en-CA");
  return `${day} ${clock}`;
}

/** Return a time in milliseconds as the API takes it. */
export function isoOf(milliseconds) {
  return new Date(milliseconds).toISOString();
}

/** Return a count with thousands separators. */
export function countOf(number) {
  return COUNT.format(number);
}

/** Return a text with a capital first letter. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return names as an English list. */
export function listOf(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
