// The form that runs a function: an HTTP request piece by piece, or an input document for any other trigger.

import { keyHeader, runByHand } from "./api.js";
import { announce, h, show } from "./dom.js";
import { duration, triggerName } from "./format.js";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const LONGEST = 100_000; // characters of an answer that are shown
const drafts = new Map(); // function name → its form, as it was left

/** The page of one function, as elements. `invocationOf(traceId)` promises what has been run. */
export function functionDetail(fn, invocationOf) {
  let form = drafts.get(fn.name);
  if (!form || form.described !== JSON.stringify(fn)) {
    form = fn.trigger === "httpTrigger" ? httpForm(fn, invocationOf) : inputForm(fn);
    form.described = JSON.stringify(fn);
    drafts.set(fn.name, form);
  }
  const others = fn.bindings.filter(({ type }) => type !== fn.trigger && type !== "http");
  return [
    h("div", { class: "detail-head" },
      h("h2", { id: "detail-title" }, fn.name),
      h("a", { class: "quiet", href: "#/", "aria-label": "Close the details" }, "✕")),
    h("dl", { class: "meta" },
      pair("Trigger", `${triggerName(fn.trigger)}${fn.level ? `, ${fn.level}` : ""}`),
      fn.trigger !== "httpTrigger" && fn.about && pair("Source", h("code", {}, fn.about)),
      pair("Kind", fn.isAsync ? "async, on the event loop" : "sync, on a pool thread"),
      others.length > 0 && pair("Bindings", others.map(({ name, type, direction }) => `${name} (${type}, ${direction})`).join(", ")),
      pair("File", h("code", {}, fn.file))),
    form,
  ];
}

const pair = (name, ...values) => [h("dt", {}, name), h("dd", {}, ...values)];

let fields = 0;
function field(label, control, note) {
  control.id = `field-${(fields += 1)}`;
  return h("div", { class: "field" }, h("label", { for: control.id }, label, note && h("small", {}, ` ${note}`)), control);
}

/** Rows of a name and a value; `.values()` gives those that have a name. */
function pairs(title, what) {
  const list = h("div", { class: "pairs" });
  const add = () => {
    const name = h("input", { "aria-label": `Name of ${what}`, placeholder: "name", spellcheck: "false", autocomplete: "off" });
    const value = h("input", { "aria-label": `Value of ${what}`, placeholder: "value", spellcheck: "false", autocomplete: "off" });
    const remove = h("button", { class: "quiet", type: "button", "aria-label": `Remove this ${what}` }, "✕");
    const row = h("div", { class: "pair" }, name, value, remove);
    remove.addEventListener("click", () => {
      row.remove();
      more.focus();
      list.dispatchEvent(new Event("input", { bubbles: true }));
    });
    list.append(row);
    name.focus();
  };
  const more = h("button", { class: "quiet more-pairs", type: "button", onclick: add }, `Add a ${what}`);
  const element = h("div", { class: "field", role: "group", "aria-label": title }, h("span", { class: "label" }, title), list, more);
  const values = () => [...list.children].map((row) => [...row.querySelectorAll("input")].map((input) => input.value)).filter(([name]) => name);
  return { element, values };
}

function httpForm(fn, invocationOf) {
  const methods = fn.methods.length ? fn.methods : METHODS;
  const method = h("select", { "aria-label": "Method" }, methods.map((name) => h("option", {}, name)));
  const parameters = fn.route.filter((part) => part.name).map((part) => ({
    part,
    input: h("input", { value: part.default, required: !part.optional, spellcheck: "false", autocomplete: "off" }),
  }));
  const query = pairs("Query", "query parameter");
  const headers = pairs("Headers", "header");
  const body = h("textarea", { rows: 6, spellcheck: "false" });
  const bodyField = field("Body", body);
  const address = h("output", { "aria-label": "Address" });
  const run = h("button", { class: "primary" }, "Run");
  const answer = h("div", { class: "answer", role: "region", "aria-label": "Answer" });

  const target = () => {
    const inputs = new Map(parameters.map(({ part, input }) => [part.name, { part, input }]));
    const path = fn.route.map((part) => {
      if (!part.name) return part.text;
      const { value } = inputs.get(part.name).input;
      if (!value && !part.optional) return `{${part.name}}`; // is not sent: the field is required
      return part.catchAll ? encodeURIComponent(value).replaceAll("%2F", "/") : encodeURIComponent(value);
    }).join("");
    const search = new URLSearchParams(query.values()).toString();
    return `/${path.replace(/\/+$/, "")}${search && `?${search}`}`;
  };
  const refresh = () => {
    address.textContent = target();
    bodyField.hidden = ["GET", "HEAD"].includes(method.value); // a browser sends none with these
  };
  const form = h("form", { class: "form" },
    h("div", { class: "address" }, method, address),
    parameters.map(({ part, input }) => field(part.name, input, [part.rule, part.optional && "optional"].filter(Boolean).join(", "))),
    query.element, headers.element, bodyField,
    h("div", { class: "actions" }, run, h("span", { class: "hint" }, "or press ", h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter"))),
    answer);
  form.addEventListener("input", refresh);
  refresh();
  return running(form, run, answer, () => sendRequest({
    method: method.value, url: target(), headers: headers.values(), body: bodyField.hidden || !body.value ? undefined : body.value,
  }, answer, invocationOf));
}

function inputForm(fn) {
  const input = h("textarea", { rows: 10, spellcheck: "false" });
  input.value = fn.sample;
  const run = h("button", { class: "primary" }, "Run");
  const answer = h("div", { class: "answer", role: "region", "aria-label": "Answer" });
  const form = h("form", { class: "form" },
    field("Input", input, "what the trigger would give: a text, or JSON"),
    h("div", { class: "actions" }, run, h("span", { class: "hint" }, "or press ", h("kbd", {}, "Ctrl"), " ", h("kbd", {}, "Enter"))),
    answer);
  return running(form, run, answer, async () => {
    const response = await runByHand(fn.name, input.value);
    const text = response.status === 202 ? "Started; see the invocations." : `${response.status} ${await response.text()}`;
    show(answer, h("p", { class: response.ok ? "" : "error-box" }, text));
    announce(text);
  });
}

/** Make a form run `action` when it is sent, once at a time. */
function running(form, button, answer, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      show(answer, h("p", { class: "error-box" }, String(error)));
      announce(String(error));
    } finally {
      button.disabled = false;
    }
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return form;
}

const randomHex = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function sendRequest({ method, url, headers, body }, answer, invocationOf) {
  const traceId = randomHex(16); // by which the invocation is found among all others
  const sent = new Headers({ traceparent: `00-${traceId}-${randomHex(8)}-01`, ...keyHeader() });
  for (const [name, value] of headers) sent.append(name, value);
  if (body !== undefined && !sent.has("content-type")) sent.set("content-type", isJson(body) ? "application/json" : "text/plain; charset=utf-8");
  const told = invocationOf(traceId);
  show(answer, h("p", { class: "hint" }, "Running …"));
  const begun = performance.now();
  const response = await fetch(url, { method, headers: sent, body, cache: "no-store", redirect: "manual" });
  const content = response.type === "opaqueredirect" ? "(a redirect, which the browser does not show)" : await readable(response);
  const took = duration((performance.now() - begun) / 1000);
  const status = response.type === "opaqueredirect" ? "3xx" : `${response.status} ${response.statusText}`;
  const line = h("div", { class: "line" },
    h("span", { class: response.status >= 400 ? "code bad" : "code" }, status),
    h("span", { class: "hint" }, took),
    h("span", { class: "hint" }, response.headers.get("content-type") ?? ""));
  told.then(({ id }) => line.append(h("a", { href: `#/invocations/${id}` }, "What happened")));
  show(answer,
    line,
    h("pre", { class: "raw", tabindex: 0, "aria-label": "Body of the answer" }, content || "(no body)"),
    h("details", {}, h("summary", {}, "Headers"), h("pre", { class: "raw", tabindex: 0 }, [...response.headers].map((pair) => pair.join(": ")).join("\n"))));
  announce(`Answered ${status} after ${took}`);
}

async function readable(response) {
  const kind = response.headers.get("content-type") ?? "";
  if (/^(image|audio|video|font)\/|octet-stream|zip|pdf/.test(kind)) return `(${(await response.blob()).size} bytes of ${kind})`;
  const text = await response.text();
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${text.length - LONGEST} more characters` : text;
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
