import type { JsonObject } from "../../model/json.js";

export const authorizePath = "/v1/authorize/{connection_id}";

const denied = (description: string): JsonObject => ({
  description,
  content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
});

const headerOf = (name: string, description: string): JsonObject => ({
  name,
  in: "header",
  description,
  required: false,
  schema: { type: "string" },
});

const shown = (description: string): JsonObject => ({ description, schema: { type: "string" } });

/** What the `http` listener answers to proxies, beside the table of routes: its answer is headers, and no JSON. */
export const authorizeOperation: JsonObject = {
  operationId: "authorizeRequest",
  summary:
    "Decides for a proxy (nginx auth_request, forward auth of Caddy and Traefik) and answers the headers to set",
  tags: ["tokens"],
  parameters: [
    { name: "connection_id", in: "path", required: true, schema: { type: "string", format: "uuid" } },
    headerOf(
      "X-Original-URI",
      "Path and query of the request; `X-Forwarded-Uri` is read where it is absent.",
    ),
    headerOf(
      "X-Original-Method",
      "Its method; `X-Forwarded-Method` is read where it is absent, GET without.",
    ),
  ],
  responses: {
    200: {
      description: "Allowed. No body; the headers that the credential needs are those of the answer",
      headers: {
        Authorization: shown("Of most providers; a profile may name other headers."),
        "X-Nexus-Uri": shown("Path and query with the credential in them, where it goes into the query."),
      },
    },
    401: denied("No valid API key, or the connection has no usable credential"),
    403: denied("There is no such connection, the caller may not use it, or its strategy cannot be applied"),
    429: denied("A limit is reached"),
    431: denied("The headers are longer than the daemon takes"),
    503: denied("It cannot be decided just now, or the token is dead and the provider cannot be reached"),
  },
};
