// The column of functions, of extensions, and of what is not served.

import { $, h, show } from "./dom.js";
import { count, duration, triggerName } from "./format.js";

const links = new Map(); // function name → its link

function chipOf(fn) {
  if (fn.trigger !== "httpTrigger") return triggerName(fn.trigger);
  return fn.methods.length === 0 ? "ANY" : fn.methods.length > 2 ? `${fn.methods[0]} +${fn.methods.length - 1}` : fn.methods.join(" ");
}

/** Show the functions of an app. */
export function drawFunctions(app) {
  links.clear();
  for (const fn of app.functions) {
    const numbers = h("span", { class: "numbers" });
    const link = h(
      "a",
      { href: `#/functions/${encodeURIComponent(fn.name)}` },
      h("span", { class: "name" }, fn.name),
      h("span", { class: "chip", title: triggerName(fn.trigger) }, chipOf(fn)),
      h("span", { class: "about", title: fn.about }, fn.about || triggerName(fn.trigger)),
      numbers,
    );
    links.set(fn.name, { link, numbers, text: `${fn.name} ${fn.about} ${triggerName(fn.trigger)}`.toLowerCase() });
  }
  show($("functions"), [...links.values()].map(({ link }) => h("li", {}, link)));
  $("function-count").textContent = app.functions.length;

  $("extensions-part").hidden = app.extensions.length === 0;
  show($("extensions"), app.extensions.map((name) => h("li", {}, name)));

  const problems = [...app.problems, ...app.disabled.map((name) => `${name} is disabled.`)];
  $("problems-part").hidden = problems.length === 0;
  show($("problems"), problems.map((text) => h("li", {}, text)));
}

/** Show how often each function has run, and how long it takes. */
export function drawTotals(totals) {
  for (const [name, { numbers }] of links) {
    const total = totals[name];
    if (!total) continue;
    show(
      numbers,
      total.failed > 0 && h("span", { class: "bad" }, `${count(total.failed)} failed`),
      total.failed > 0 && " · ",
      `${count(total.count)} · ${duration(total.p50)}`,
    );
    numbers.title = `${total.count} runs, ${total.failed} failed; median ${duration(total.p50)}, p95 ${duration(total.p95)}`;
  }
}

/** Show only the functions that have this text. */
export function filterFunctions(text) {
  for (const { link, text: own } of links.values()) link.parentElement.hidden = !own.includes(text);
}

/** Mark the function that is shown. */
export function markFunction(name) {
  for (const [own, { link }] of links) {
    if (own === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/** Move the focus to the first function. */
export const focusFunctions = () => $("functions").querySelector("li:not([hidden]) a")?.focus();
