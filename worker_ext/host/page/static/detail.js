// One invocation: when and how long, its timeline, its error with the source, its logs.

import { h } from "./dom.js";
import { clock, duration, iso, triggerName } from "./format.js";
import { timeline } from "./timeline.js";

const LEVELS = [[40, "error", "ERROR"], [30, "warning", "WARNING"], [20, "info", ""], [0, "debug", "DEBUG"]];

/** The details of an invocation, as elements. */
export function invocationDetail(invocation) {
  const { status, httpStatus } = invocation;
  const outcome = status === "running" ? "running" : `${status} after ${duration(invocation.duration)}`;
  return [
    h("div", { class: "detail-head" },
      h("h2", { id: "detail-title" },
        h("span", { class: `mark ${status}`, "aria-hidden": "true" }, { running: "●", succeeded: "✓", failed: "✕" }[status]), " ",
        h("a", { href: `#/functions/${encodeURIComponent(invocation.function)}` }, invocation.function)),
      h("a", { class: "quiet", href: "#/", "aria-label": "Close the details" }, "✕")),
    h("dl", { class: "meta" },
      pair("Outcome", httpStatus > 0 ? `${outcome}, answered ${httpStatus}` : outcome),
      pair("Trigger", triggerName(invocation.trigger)),
      invocation.subject && pair("Request", h("code", {}, invocation.subject)),
      pair("Begun", h("time", { datetime: iso(invocation.begun), title: iso(invocation.begun) }, clock(invocation.begun))),
      pair("Trace", h("code", {}, invocation.traceId), copy(invocation.traceId, "trace id")),
      pair("Invocation", h("code", {}, invocation.id), copy(invocation.id, "invocation id"))),
    status !== "running" && part("Timeline", timeline(invocation)),
    invocation.error && part("Error", ...errorParts(invocation.error)),
    part(`Logs${invocation.leftOut ? ` (the first ${invocation.logs.length} of ${invocation.lines} lines)` : ""}`, logs(invocation)),
  ];
}

const pair = (name, ...values) => [h("dt", {}, name), h("dd", {}, ...values)];

const part = (title, ...children) => h("section", { "aria-label": title }, h("h3", {}, title), ...children);

function copy(text, what) {
  const button = h("button", { class: "copy", type: "button", "aria-label": `Copy the ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

function errorParts(error) {
  return [
    h("p", { class: "error-box" }, error.message ? `${error.kind}: ${error.message}` : error.kind),
    ...error.places.toReversed().map(place),
    error.traceback && h("details", {}, h("summary", {}, "Traceback"), h("pre", { class: "raw", tabindex: 0 }, error.traceback)),
  ];
}

function place({ file, line, function: name, first, source }) {
  const lines = source.map((text, index) => {
    const number = first + index;
    const here = number === line;
    return h("span", { class: here ? "line here" : "line" }, h("span", { class: "number" }, number), text || " ", here && h("span", { class: "unseen" }, " (here)"));
  });
  return h("figure", { class: "place" },
    h("figcaption", {}, `${file}:${line} in ${name}`),
    h("pre", { tabindex: 0, "aria-label": `${file} around line ${line}` }, lines));
}

function logs({ logs: lines, status, duration: total }) {
  if (lines.length === 0) return h("p", { class: "hint" }, status === "running" ? "Nothing yet." : "It has logged nothing.");
  return h("div", { class: "log" }, lines.flatMap(([after, level, logger, text]) => {
    const [, kind, word] = LEVELS.find(([least]) => level >= least);
    // When the lines were written that come with the answer is not known: all of them have its time.
    const when = status === "running" || after < total - 0.001 ? `+${duration(after)}` : "";
    const from = logger && logger !== "root" ? [h("span", { class: "logger" }, logger), " "] : [];
    return [
      h("span", { class: "when" }, when),
      h("span", { class: `text ${kind}` }, word && [h("span", { class: "level" }, word), " "], from, text),
    ];
  }));
}
