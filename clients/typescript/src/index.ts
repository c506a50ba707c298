import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.js";

export type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
export type Recommendations = Schemas["Recommendations"];
export type RecommendationRequest = Schemas["RecommendationRequest"];
export type Problem = Schemas["Problem"];
export type Where = Schemas["Where"];

/** Every path of the API, by method: `likewise.GET("/v1/…", { params })` returns `{ data, error, response }`. */
export type Likewise = Client<paths>;

export interface Options {
  /** An API key, for a gateway that requires one. */
  key?: string;
  /** Whether each answer counts this client's last write: the `Likewise-Position` of the write is sent back. */
  readOwnWrites?: boolean;
  /** Replaces `fetch`, for example to add retries. */
  fetch?: (request: Request) => Promise<Response>;
}

const POSITION = "Likewise-Position";

/** Return a client of the gateway at this address, such as `http://localhost:8080`. */
export function createLikewise(baseUrl: string, options: Options = {}): Likewise {
  const { key, readOwnWrites, ...rest } = options;
  const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` };
  const client = createClient<paths>({ baseUrl, headers, ...rest });
  if (readOwnWrites) {
    let position: string | null = null;
    client.use({
      onRequest({ request }) {
        if (position !== null && !request.headers.has(POSITION)) request.headers.set(POSITION, position);
      },
      onResponse({ response }) {
        position = response.headers.get(POSITION) ?? position;
      },
    });
  }
  return client;
}
