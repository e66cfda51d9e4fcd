// Brings the parts together: what the host tells, where the reader is, and the keyboard.

import { KeyNeeded, follow, invocation, lacksKey, useKey } from "./api.js";
import * as activity from "./activity.js";
import { addSeconds, drawLatency, drawRate } from "./charts.js";
import { invocationDetail } from "./detail.js";
import { $, announce, h, show } from "./dom.js";
import { functionDetail } from "./form.js";
import { drawFunctions, drawTotals, filterFunctions, focusFunctions, markFunction } from "./functions.js";

let app = null;
let running = 0;
let place = { kind: "", name: "" }; // what the details show
let asked = 0; // counts requests for details: an answer that is overtaken is dropped

// What the host tells

const events = {
  app(data) {
    app = data;
    document.title = `${app.name} · Functions`;
    $("app-name").textContent = app.name;
    $("app-name").title = app.folder;
    setState(app.state);
    $("problem").hidden = !app.problem;
    $("problem").textContent = app.problem;
    $("facts").title = `${app.folder}\n${app.python}`;
    drawFunctions(app);
    filterFunctions($("filter").value.trim().toLowerCase());
    open(false);
  },
  recent(records) {
    activity.resetInvocations(records);
    if (place.kind === "invocations") drawInvocation(false);
  },
  invocations(records) {
    activity.addInvocations(records);
    if (place.kind === "invocations" && records.some(({ id }) => id === place.name)) drawInvocation(false);
    const failed = records.filter(({ status }) => status === "failed");
    if (failed.length > 0) announce(`${failed.at(-1).function} failed: ${failed.at(-1).error}`);
  },
  rates({ history, functions }) {
    addSeconds(history);
    drawRate($("rate-chart"), running);
    drawLatency($("latency-chart"));
    drawTotals(functions);
  },
  workers({ workers, running: number }) {
    running = number;
    const names = workers.length === 1 ? `worker process ${workers[0]}` : `${workers.length} worker processes`;
    $("facts").textContent = `${names} · worker-ext ${app.version}`;
  },
};

function setState(state) {
  $("state").textContent = state;
  $("state").dataset.state = state;
}

async function listen() {
  for (let pause = 500; ; pause = Math.min(pause * 2, 5000)) {
    try {
      if (lacksKey()) await askForKey();
      await follow((event, data) => {
        pause = 500;
        events[event](data);
      });
    } catch (error) {
      if (error instanceof KeyNeeded) useKey("");
    }
    setState("Disconnected");
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function askForKey() {
  const dialog = $("key");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      useKey($("key-value").value);
      $("key-value").value = "";
      resolve();
    }, { once: true });
  });
}

// Where the reader is: the part of the address after #

function open(moveFocus) {
  const [, kind = "", name = ""] = /^#\/(functions|invocations)\/(.+)$/.exec(location.hash) ?? [];
  place = { kind, name: decodeURIComponent(name) };
  markFunction(kind === "functions" ? place.name : "");
  activity.markInvocation(kind === "invocations" ? place.name : "");
  if (kind === "invocations") drawInvocation(moveFocus);
  else if (kind === "functions") drawFunction(moveFocus);
  else show($("detail"), h("p", { class: "empty" }, "Choose a function to run it, or an invocation to see what happened in it."));
}

function drawFunction(moveFocus) {
  const found = app?.functions.find(({ name }) => name === place.name);
  if (!found) {
    show($("detail"), h("p", { class: "empty" }, `There is no function ${place.name}.`));
    return;
  }
  show($("detail"), functionDetail(found, activity.ofTrace).flat(3));
  if (moveFocus) focusDetail();
}

async function drawInvocation(moveFocus) {
  const mine = (asked += 1);
  const found = await invocation(place.name);
  if (mine !== asked) return;
  const opened = [...$("detail").querySelectorAll("details")].map(({ open }) => open);
  const top = $("detail").scrollTop;
  show($("detail"), found ? invocationDetail(found).flat(3) : h("p", { class: "empty" }, "This invocation is not kept any more."));
  if (moveFocus) {
    focusDetail();
    return;
  }
  // The same invocation, grown: what the reader has opened stays open, and the text where it was.
  $("detail").querySelectorAll("details").forEach((element, index) => (element.open = opened[index] ?? false));
  $("detail").scrollTop = top;
}

function focusDetail() {
  $("detail").scrollTop = 0;
  $("detail").focus();
}

// Controls

const THEMES = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").textContent = THEMES[theme];
  localStorage.setItem("theme", theme);
}

function pause() {
  const paused = activity.togglePause();
  $("pause").setAttribute("aria-pressed", paused);
  announce(paused ? "Paused" : "Going on");
}

const keys = {
  "/": () => $("filter").focus(),
  "?": () => $("help").showModal(),
  f: focusFunctions,
  j: () => step(1),
  k: () => step(-1),
  p: pause,
  r: () => $("detail").querySelector("form")?.requestSubmit(),
  Escape: () => (location.hash = "#/"),
};

function step(by) {
  const id = activity.neighbour(by);
  if (id) location.hash = `#/invocations/${id}`;
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=radio]), textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (typing && event.key === "Escape") event.target.blur();
  else if (!typing && keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});

$("filter").addEventListener("input", () => {
  const text = $("filter").value.trim().toLowerCase();
  filterFunctions(text);
  activity.filterInvocations(text);
});
document.querySelectorAll('input[name="show"]').forEach((input) => input.addEventListener("change", () => activity.showOnly(input.value)));
$("pause").addEventListener("click", pause);
$("help-button").addEventListener("click", () => $("help").showModal());
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(localStorage.getItem("theme") ?? "auto") + 1) % names.length]);
});
window.addEventListener("hashchange", () => open(true));

setTheme(localStorage.getItem("theme") ?? "auto");
drawRate($("rate-chart"), 0);
drawLatency($("latency-chart"));
activity.resetInvocations([]);
open(false);
listen();
