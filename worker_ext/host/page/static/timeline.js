// An invocation's timeline: the wait for a worker, each hook, and the function, as bars beneath each other.

import { h } from "./dom.js";
import { duration } from "./format.js";

/** What is to be drawn: label, kind, start and duration in seconds, error. */
function stepsOf(invocation) {
  const { waited, timeline, duration: total } = invocation;
  const steps = [];
  if (waited > total * 0.02) steps.push({ label: "waiting for a worker", by: "", kind: "waiting", start: 0, duration: waited });
  for (const step of timeline) {
    const kind = !step.extension ? "function" : step.name.startsWith("around") ? "around" : "hook";
    steps.push({
      label: step.extension || step.name,
      by: step.extension && step.name.replace(/^on_|_?invocation_?|_?app_level/g, ""), // pre, around, post, error
      title: step.name,
      kind,
      start: waited + step.start,
      duration: step.duration,
      error: step.error,
    });
  }
  if (timeline.length === 0) {
    const error = invocation.status === "failed" ? invocation.error.kind : null;
    steps.push({ label: invocation.function, by: "", kind: "function", start: waited, duration: total - waited, error });
  }
  return steps;
}

/** The timeline as a list. */
export function timeline(invocation) {
  const steps = stepsOf(invocation);
  const total = Math.max(invocation.duration, ...steps.map((step) => step.start + step.duration)) || 1e-6;
  const axis = h(
    "li",
    { class: "axis", "aria-hidden": "true" },
    h("span", {}),
    h("span", { class: "track" }, h("span", {}, "0"), h("span", {}, duration(total / 2)), h("span", {}, duration(total))),
    h("span", {}),
  );
  return h("ol", { class: "timeline" }, steps.map((step) => row(step, total)), axis);
}

function row(step, total) {
  const bar = h("span", { class: `bar ${step.kind}${step.error ? " failed" : ""}` });
  bar.style.setProperty("--start", `${(step.start / total) * 100}%`);
  bar.style.setProperty("--width", `${(step.duration / total) * 100}%`);
  const spoken = `begins after ${duration(step.start)}, takes ${duration(step.duration)}${step.error ? `, raises ${step.error}` : ""}`;
  return h(
    "li",
    { title: [step.title, step.error].filter(Boolean).join(": ") || null },
    h("span", { class: "label" }, h("b", {}, step.label), step.by && [" ", h("small", {}, step.by)]),
    h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "took" }, h("span", { "aria-hidden": "true" }, duration(step.duration)), h("span", { class: "unseen" }, spoken)),
  );
}
