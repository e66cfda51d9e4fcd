// The list of invocations, the latest first.

import { $, h, show } from "./dom.js";
import { clock, duration, iso, triggerName } from "./format.js";

const KEPT = 250;
const MARKS = { running: "●", succeeded: "✓", failed: "✕" };

const rows = new Map(); // id → { record, item }, the oldest first
const awaited = new Map(); // trace id → what is told of its invocation
let held = null; // what comes while the list is paused, by id
let text = "";
let which = "all";
let current = "";

/** Show these and no others; while the list is paused, when it goes on. */
export function resetInvocations(records) {
  records.forEach(promised);
  if (held) {
    held = new Map(records.map((record) => [record.id, record]));
    return;
  }
  const kept = new Set(records.map(({ id }) => id));
  for (const [id, { item }] of rows) {
    if (kept.has(id)) continue;
    item.remove();
    rows.delete(id);
  }
  records.forEach((record) => put(record, false));
  drawEmpty();
}

/** Show new invocations, and what has become of others. */
export function addInvocations(records) {
  for (const record of records) {
    promised(record);
    if (held) held.set(record.id, record);
    else put(record, true);
  }
  drawEmpty();
}

/** Stop the list, or go on; tells whether it is stopped. */
export function togglePause() {
  const waiting = held;
  held = held ? null : new Map();
  if (waiting) addInvocations([...waiting.values()]);
  return held !== null;
}

/** Show only invocations of this kind: all, failed or running. */
export function showOnly(kind) {
  which = kind;
  refilter();
}

/** Show only invocations that have this text. */
export function filterInvocations(value) {
  text = value;
  refilter();
}

/** Mark the invocation that is shown. */
export function markInvocation(id) {
  current = id;
  for (const [own, { item }] of rows) mark(item.firstElementChild, own === id);
}

/** The id of the next visible invocation, or of the previous one if `step` is -1. */
export function neighbour(step) {
  const visible = [...$("invocations").children].filter((item) => !item.hidden);
  const at = visible.findIndex((item) => item.firstElementChild.hasAttribute("aria-current"));
  const next = at < 0 ? visible[0] : visible[at + step];
  next?.scrollIntoView({ block: "nearest" });
  return next?.dataset.id;
}

/** The invocation that belongs to a trace, as a promise: the host tells of it a moment later. */
export const ofTrace = (traceId) => new Promise((resolve) => awaited.set(traceId, resolve));

function promised(record) {
  awaited.get(record.traceId)?.(record);
  awaited.delete(record.traceId);
}

function put(record, isNew) {
  const known = rows.get(record.id);
  if (known?.record.status === record.status && known.record.lines === record.lines) return;
  if (known) {
    known.record = record;
    show(known.item, link(record));
    known.item.hidden = !matches(record);
    return;
  }
  const item = h("li", { "data-id": record.id, class: isNew && "new" }, link(record));
  item.hidden = !matches(record);
  rows.set(record.id, { record, item });
  $("invocations").prepend(item);
  if (rows.size > KEPT) {
    const [oldest] = rows.keys();
    rows.get(oldest).item.remove();
    rows.delete(oldest);
  }
}

function link(record) {
  const { status, httpStatus } = record;
  const subject = record.error ?? (record.subject || triggerName(record.trigger));
  const a = h(
    "a",
    { href: `#/invocations/${record.id}` },
    h("span", { class: `mark ${status}`, role: "img", "aria-label": status }, MARKS[status]),
    h("time", { datetime: iso(record.begun) }, clock(record.begun)),
    h("span", { class: "name" }, record.function),
    h("span", { class: record.error ? "subject bad" : "subject", title: subject }, subject.split("\n")[0]),
    h("span", { class: "status" }, httpStatus > 0 ? httpStatus : ""),
    h("span", { class: "duration" }, status === "running" ? "…" : duration(record.duration)),
  );
  mark(a, record.id === current);
  return a;
}

function mark(a, isCurrent) {
  if (isCurrent) a.setAttribute("aria-current", "true");
  else a.removeAttribute("aria-current");
}

function matches(record) {
  if (which !== "all" && record.status !== which) return false;
  return !text || `${record.function} ${record.subject} ${record.error ?? ""} ${record.id} ${record.traceId}`.toLowerCase().includes(text);
}

function refilter() {
  for (const { record, item } of rows.values()) item.hidden = !matches(record);
  drawEmpty();
}

function drawEmpty() {
  const any = [...rows.values()].some(({ item }) => !item.hidden);
  $("no-invocations").hidden = any;
  $("no-invocations").textContent =
    rows.size === 0 ? "Nothing has run since this page was opened. Run a function: choose one on the left." : "No invocation matches.";
}
