// Follows /v1/live (server-sent events) by fetch, which can carry the key; EventSource cannot.
// All subscribers of a tab share one connection, which is open only while there is one.

import { api } from "./api.js";
import { waited } from "./waiting.js";

const RETRY_MS = [500, 1000, 2000, 5000, 10000];
const subscribers = new Set();
let connection = null;

/**
 * Call `handler({type, data})` for each event: `tick` and `like` from the server, and `connected` and
 * `disconnected` (data: null) from here. Returns a function that ends the subscription.
 */
export function subscribe(handler) {
  subscribers.add(handler);
  connection ??= follow();
  return () => {
    subscribers.delete(handler);
    if (subscribers.size === 0) {
      connection?.abort();
      connection = null;
    }
  };
}

function follow() {
  const controller = new AbortController();
  run(controller.signal);
  return controller;
}

async function run(signal) {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const response = await fetch("/v1/live", {
        headers: { Accept: "text/event-stream", ...api.headers() },
        signal,
      });
      if (response.ok) {
        failures = 0;
        send({ type: "connected", data: null });
        for await (const event of events(response.body)) send(event);
      } else if (response.status === 401) {
        if (await api.askForKey(response)) continue;
        return; // a key that is entered later shows the view again
      }
    } catch (error) {
      if (error.name === "AbortError") return;
    }
    send({ type: "disconnected", data: null });
    await waited(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)], signal);
  }
}

function send(event) {
  subscribers.forEach((handler) => handler(event));
}

/** Yield the events of a stream. An event ends at an empty line; comments are left out. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  let type = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) type = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length ? { type, data: JSON.parse(data.join("\n")) } : null;
}
