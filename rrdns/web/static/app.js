/* The page: sign in, receive updates, and show them. */

import { Api } from "./api.js";
import { byId, el, setAttribute, setChildren, setText } from "./dom.js";
import { Exporters } from "./exporters.js";
import { Live } from "./live_updates.js";
import { Orders } from "./order_dialog.js";
import { Orphans } from "./orphans.js";
import { PoolCard, matches } from "./pool.js";
import { Shares } from "./answer_shares.js";
import { Trail } from "./audit_trail.js";
import { capital, eventSentence, lengthOf, listOf, momentOf } from "./format.js";

const MANY_POOLS = 4; // with so many, the filter is shown
const TOAST = 10_000; // milliseconds

const api = new Api();
const shares = new Shares();
const trail = new Trail(api);
const exporters = new Exporters(api);
const orders = new Orders(api, { onDone: toast });
const orphans = new Orphans(orders);
const cards = new Map();

let live = null;
let me = null;
let view = null;
let phase = { name: "connecting" };
let toastTimer = null;

function watch() {
  live?.stop();
  live = new Live(api, { onView, onEvent, onPhase, onRefused });
  live.run();
}

function onView(newView) {
  view = newView;
  shares.note(view);
  trail.offer(view.pools);
  orders.update(view.pools);
  render();
  exporters.refresh();
  for (const card of cards.values()) card.explain();
}

function onEvent(event) {
  setText(byId("latest"), `${momentOf(event.at, api.now())}  ${eventSentence(event)}`);
  trail.refresh();
}

function onPhase(next) {
  phase = next;
  if (next.name === "live") {
    me = next.me;
    byId("sign-in").hidden = true;
    byId("board").hidden = false;
    trail.reset();
  }
  render();
}

/** Ask for a token, or show why a token does not help. */
function onRefused(problem) {
  const hadToken = Boolean(api.token);
  api.token = "";
  me = view = null;
  phase = { name: "refused" };
  orders.dialog.close();
  byId("board").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-form").hidden = problem.status !== 401;
  setText(byId("sign-in-title"), problem.status === 401 ? "Sign in" : problem.message);
  setText(byId("sign-in-said"), hadToken ? "rrdns does not know this token." : "");
  render();
  byId("token").focus();
}

function signIn(event) {
  event.preventDefault();
  api.token = byId("token").value.trim();
  byId("token").value = "";
  setText(byId("sign-in-said"), "");
  phase = { name: "connecting" };
  render();
  watch();
}

function signOut() {
  api.token = "";
  location.reload(); // removes all data from the page
}

function toast(sentence) {
  setText(byId("toast"), sentence);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => setText(byId("toast"), ""), TOAST);
  live.poll().catch(() => {});
  trail.refresh();
}

function render() {
  setAttribute(document.body, "data-phase", phase.name);
  renderLine();
  byId("who").hidden = me === null;
  if (me) setText(byId("caller"), api.token ? `${me.name} (${me.role})` : "no sign-in needed");
  byId("sign-out").hidden = !api.token;
  renderTitle();
  if (!view) return;
  renderAlarms(view.readiness.alarms);
  renderPools();
  renderAbout(view.readiness);
}

function renderLine() {
  const now = api.now();
  const words = { live: "Live", lost: "Connection lost", refused: "Not signed in", connecting: "Connecting" };
  setText(byId("line"), words[phase.name]);
  byId("lost").hidden = phase.name !== "lost";
  setText(byId("lost-said"), phase.name === "lost" ? lostSentence(now) : "");
  if (phase.name !== "lost") return;
  const age = view ? `${lengthOf((now - view.at) / 1000)} ago; ` : "";
  const wait = Math.max(0, Math.ceil((phase.retryAt - Date.now()) / 1000));
  setText(byId("lost-age"), `${age}next try ${wait > 0 ? `in ${wait} s` : "now"}`);
}

function lostSentence(now) {
  const since = view ? ` The page shows the state of ${momentOf(new Date(view.at).toISOString(), now)}.` : "";
  return `Connection lost: ${phase.why}.${since}`;
}

function renderTitle() {
  const down = view ? view.pools.filter((pool) => pool.everything_down).map(({ name }) => name) : [];
  const members = view ? view.pools.flatMap((pool) => pool.members) : [];
  const out = members.filter((member) => !member.in && member.why === "down").length;
  const state = down.length ? `EVERYTHING DOWN: ${listOf(down)}` : out ? `${out} down` : "";
  const title = phase.name === "lost" ? "connection lost" : state;
  document.title = title ? `${title} - rrdns` : "rrdns";
  setAttribute(byId("icon"), "href", down.length ? "static/favicon-alarm.svg" : "static/favicon.svg");
  const summary = view ? summaryOf(view.pools, down, out) : "";
  setText(byId("summary"), summary && phase.name === "lost" ? `Last seen: ${summary}` : summary);
  setAttribute(byId("summary"), "data-tone", down.length ? "bad" : out ? "warn" : null);
  setAttribute(document.body, "data-tone", down.length ? "bad" : null);
}

/** Return the text of the header. A member that is in rotation only because all are down counts as out. */
function summaryOf(pools, down, out) {
  if (pools.length < 2 && down.length === 0) return "";
  const of = pools.reduce((sum, { members }) => sum + members.length, 0);
  const inside = pools.filter((pool) => !pool.everything_down).flatMap(({ members }) => members).filter((member) => member.in).length;
  const many = `${pools.length} ${pools.length === 1 ? "pool" : "pools"}`;
  if (down.length) return `Everything is down in ${down.length} of ${many}: ${inside} of ${of} members healthy`;
  return `${inside} of ${of} members in, ${out ? `${out} down, ` : ""}${many}`;
}

/** Show the alarms, except "everything is down", which is shown at its pool. */
function renderAlarms(alarms) {
  const shown = alarms.filter(({ name }) => name !== "everything-down");
  byId("alarms").hidden = shown.length === 0;
  const texts = shown.map(({ sentence, since }) => `${capital(sentence)} (since ${momentOf(since, api.now())})`);
  if (texts.join("\n") === byId("alarms").dataset.texts) return;
  byId("alarms").dataset.texts = texts.join("\n");
  byId("alarms").replaceChildren(...texts.map((text) => el("p", { role: "alert" }, text)));
}

function renderPools() {
  const text = byId("filter").value.trim().toLowerCase();
  byId("filter-row").hidden = view.pools.length < MANY_POOLS;
  const shown = view.pools.filter((pool) => matches(pool, text));
  const common = {
    // Without a connection the time does not advance: no member may become safe by it.
    now: phase.name === "lost" ? view.at : api.now(),
    alarms: view.readiness.alarms,
    mayOrder: me !== null && me.role !== "viewer",
    mayForce: me !== null && me.role === "admin",
    isLost: phase.name === "lost",
  };
  for (const name of cards.keys()) if (!view.pools.some((pool) => pool.name === name)) cards.delete(name);
  for (const pool of shown) {
    if (!cards.has(pool.name)) cards.set(pool.name, new PoolCard(api, orders, `pool-${pool.name}`));
    cards.get(pool.name).show(pool, { ...common, shares: shares.of(pool) });
  }
  orphans.show(view.readiness.orphaned ?? [], common);
  setChildren(byId("pools"), shown.map((pool) => cards.get(pool.name).element));
  byId("no-pools").hidden = shown.length > 0;
}

function renderAbout({ version, started_at: startedAt, serial, workers }) {
  const up = lengthOf((api.now() - Date.parse(startedAt)) / 1000);
  const answering = workers.filter((worker) => worker.connected).length;
  const text = `rrdns ${version}, up ${up}, ${answering} of ${workers.length} workers answering, snapshot ${serial}`;
  setText(byId("about"), text);
}

byId("sign-in-form").addEventListener("submit", signIn);
byId("sign-out").addEventListener("click", signOut);
byId("try-now").addEventListener("click", () => live.wakeUp());
byId("filter").addEventListener("input", render);
setInterval(render, 1000);
watch();
