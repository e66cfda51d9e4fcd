// What the page asks its host, and what the host tells it.

const token = document.querySelector('meta[name="page-token"]').content;
const withKeys = document.querySelector('meta[name="page-keys"]').content === "yes";

let key = sessionStorage.getItem("master-key") ?? "";

/** Thrown when the host wants a master key, or another one. */
export class KeyNeeded extends Error {}

/** Whether the host asks for a master key, and there is none yet. */
export const lacksKey = () => withKeys && !key;

/** Use this master key, until this tab is closed. */
export function useKey(value) {
  key = value;
  sessionStorage.setItem("master-key", value);
}

/** The header that opens functions, if keys are asked for. */
export const keyHeader = () => (withKeys && key ? { "x-functions-key": key } : {});

async function ask(path, options = {}) {
  const headers = { "x-page-token": token, ...keyHeader(), ...options.headers };
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (response.status === 401) throw new KeyNeeded();
  if (response.status === 403 && path.startsWith("/admin/page/")) reload();
  return response;
}

/** Get another token, which comes with the page, as the host has been restarted; not again and again. */
function reload() {
  const last = Number(sessionStorage.getItem("reloaded"));
  if (Date.now() - last < 5000) return;
  sessionStorage.setItem("reloaded", Date.now());
  location.reload();
}

/** All that the host knows of an invocation; null if it keeps it no more. */
export async function invocation(id) {
  const response = await ask(`/admin/page/invocations/${id}`);
  return response.ok ? response.json() : null;
}

/** Run a function with what its trigger would give. */
export const runByHand = (name, input) =>
  ask(`/admin/functions/${encodeURIComponent(name)}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input }),
  });

/** Follow what happens: `tell(event, data)` for each event. Ends, or throws, when the host is gone. */
export async function follow(tell) {
  const response = await ask("/admin/page/events");
  if (!response.ok) throw new Error(await response.text());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const messages = (rest + value).split("\n\n");
    rest = messages.pop();
    for (const message of messages) {
      const [, event, data] = /^event: (.*)\ndata: ([^]*)$/.exec(message);
      tell(event, JSON.parse(data));
    }
  }
}
