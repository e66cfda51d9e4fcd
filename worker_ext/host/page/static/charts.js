// Two small charts of the last two minutes: invocations per second, and how long they took.

import { h, s, show } from "./dom.js";
import { duration } from "./format.js";

const SECONDS = 120;
const HEIGHT = 58;

let seconds = [];

/** Take up seconds that are complete: all that are known, or the last one. */
export function addSeconds(history) {
  const known = new Set(history.map((second) => second.at));
  seconds = [...seconds.filter((second) => !known.has(second.at)), ...history].slice(-SECONDS);
}

const x = (at, last) => SECONDS - 1 - (last - at);

function frame(element, what, now, more, label, shapes) {
  show(
    element,
    h("figcaption", {}, h("span", { class: "what" }, what), h("span", { class: "now" }, now), h("span", { class: "more" }, more)),
    s(
      "svg",
      { viewBox: `0 0 ${SECONDS} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      s("line", { class: "base", x1: 0, x2: SECONDS, y1: HEIGHT, y2: HEIGHT }),
      shapes,
    ),
  );
}

/** Draw how many invocations ended each second; failed ones in red, at the foot. */
export function drawRate(element, running) {
  const last = seconds.at(-1)?.at ?? 0;
  const top = Math.max(4, ...seconds.map((second) => second.count));
  const scale = (HEIGHT - 2) / top;
  const bars = seconds.flatMap(({ at, count, failed }) => {
    const bar = (kind, from, number) =>
      number > 0 &&
      s("rect", { class: kind, x: x(at, last) + 0.1, width: 0.8, y: HEIGHT - (from + number) * scale, height: number * scale });
    return [bar("failed", 0, failed), bar("ok", failed, count - failed)];
  });
  const recent = seconds.slice(-5);
  const rate = recent.reduce((sum, second) => sum + second.count, 0) / Math.max(1, recent.length);
  const shown = rate === 0 ? "0/s" : rate < 10 ? `${rate.toFixed(1)}/s` : `${Math.round(rate)}/s`;
  const failed = seconds.reduce((sum, second) => sum + second.failed, 0);
  const total = seconds.reduce((sum, second) => sum + second.count, 0);
  frame(
    element,
    "Rate",
    shown,
    `${running} running · ${total} in two minutes${failed ? `, ${failed} failed` : ""}`,
    `Invocations per second: now ${shown}; in the last two minutes ${total}, of which ${failed} failed`,
    bars,
  );
}

/** Draw median and 95th percentile of each second. */
export function drawLatency(element) {
  const last = seconds.at(-1)?.at ?? 0;
  const known = seconds.filter((second) => second.p95 !== null);
  const top = Math.max(0.001, ...known.map((second) => second.p95)) * 1.05;
  const y = (value) => HEIGHT - (value / top) * (HEIGHT - 2);
  const points = (name) => known.map((second) => `${x(second.at, last)},${y(second[name]).toFixed(2)}`);
  const shapes = [];
  if (known.length > 0) {
    const [first, end] = [x(known[0].at, last), x(known.at(-1).at, last)];
    shapes.push(s("path", { class: "area", d: `M${first},${HEIGHT}L${points("p50").join("L")}L${end},${HEIGHT}Z` }));
    for (const name of ["p95", "p50"]) {
      // A single second is a point, which a line does not show.
      const line = known.length > 1 ? points(name) : [...points(name), `${end + 0.6},${y(known[0][name])}`];
      shapes.push(s("polyline", { class: name, points: line.join(" ") }));
    }
  }
  const now = known.at(-1);
  const text = now ? duration(now.p50) : "–";
  frame(
    element,
    "Latency",
    text,
    now
      ? [h("span", { class: "swatch p50" }), "median", " · ", h("span", { class: "swatch p95" }), `p95 ${duration(now.p95)}`]
      : "median and p95",
    now ? `Latency: median ${text}, 95th percentile ${duration(now.p95)}` : "Latency: nothing has run yet",
    shapes,
  );
}
