// Calls the HTTP API. The key stays in this tab (sessionStorage) and is sent only as a header.

import { waited } from "./waiting.js";

const KEY = "likewise-key";
const FIRST_RETRY_MS = 400;

/** An answer that is not a success. `status` is 0 if the server could not be reached. */
export class ApiError extends Error {
  constructor(status, code, detail, field = null) {
    super(detail);
    this.name = "ApiError";
    Object.assign(this, { status, code, detail, field });
  }
}

let position = null;
let askForKey = null;
const listeners = new Set();

export const api = {
  get: (path, query, options) => call("GET", path, { ...options, query }),
  put: (path, body, options) => call("PUT", path, { ...options, body }),
  post: (path, body, options) => call("POST", path, { ...options, body }),
  delete: (path, options) => call("DELETE", path, options),

  /** Keep a key for this tab; without one, forget it. */
  setKey(key) {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  },
  /** The headers that a call carries: the key. */
  headers() {
    const key = sessionStorage.getItem(KEY);
    return key ? { Authorization: `Bearer ${key}` } : {};
  },
  /** `ask` is called when a key is needed; it resolves to whether the user gave one. */
  whenKeyIsNeeded(ask) {
    askForKey = ask;
  },
  /** Ask for a key after an answer 401. Resolves to whether the user gave one. */
  async askForKey(response) {
    return askForKey !== null && askForKey(await errorOf(response));
  },
  /** `listener({method, path, ms})` is called after each answer. Returns how to stop that. */
  onAnswer(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** Return the path segments joined and encoded, so that an id may hold any character. */
export function pathOf(...segments) {
  return `/${segments.map(encodeURIComponent).join("/")}`;
}

async function call(method, path, { query, body, signal, quiet = false } = {}) {
  const url = path + queryString(query);
  for (let attempt = 0; ; attempt += 1) {
    const started = performance.now();
    const response = await send(method, url, body, signal);
    const ms = performance.now() - started;
    if (response.ok) {
      position = response.headers.get("Likewise-Position") ?? position;
      if (!quiet) listeners.forEach((listener) => listener({ method, path, ms }));
      return response.status === 204 ? null : response.json();
    }
    const error = await errorOf(response);
    if (response.status === 401 && askForKey && (await askForKey(error))) continue;
    const retried = response.status === 429 || response.status === 503;
    if (!retried || attempt >= 2 || signal?.aborted) throw error;
    await waited(retryAfter_ms(response, attempt));
  }
}

async function send(method, url, body, signal) {
  const headers = { Accept: "application/json", ...api.headers() };
  if (position && method === "GET") headers["Likewise-Position"] = position;
  if (body !== undefined && body !== null) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, {
      method,
      headers,
      signal,
      body: body === undefined || body === null ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server cannot be reached.");
  }
}

async function errorOf(response) {
  try {
    const problem = await response.json();
    const detail = problem.detail ?? problem.title ?? response.statusText;
    return new ApiError(response.status, problem.code ?? "unknown", detail, problem.field ?? null);
  } catch {
    return new ApiError(response.status, "unknown", `The server answered ${response.status}.`);
  }
}

function queryString(query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") parameters.append(name, one);
    }
  }
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

function retryAfter_ms(response, attempt) {
  const seconds = Number(response.headers.get("Retry-After"));
  return Math.min(seconds > 0 ? seconds * 1000 : FIRST_RETRY_MS * 2 ** attempt, 5000);
}
