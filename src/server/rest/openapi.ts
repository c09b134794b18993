import type { JsonObject } from "../../model/json.js";
import type { Route } from "./route.js";
import { type SchemaName, schemas } from "./schemas.js";

const authorizePath = "/v1/authorize/{connection_id}";

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
const authorizeOperation: JsonObject = {
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

/** What a status means, whatever the route. */
const meanings: Readonly<Record<number, string>> = {
  200: "Done",
  201: "Created",
  302: "Done; the browser is sent to the return URL",
  400: "The request is at error; `details` names each field",
  401: "No valid API key",
  403: "Permission denied",
  404: "There is no such thing, or the caller may not see it",
  409: "The name is taken, or a person must act first (`attention_required`, `connection_pending`, ...)",
  413: "The body is larger than the daemon takes, 1 MiB by default",
  429: "A limit is reached; the message names it and its setting, `Retry-After` says when to ask again if time helps",
  431: "The headers are longer than the daemon takes, 16 KiB by default",
  500: "An error of the daemon",
  503: "The provider or the store cannot be reached; `Retry-After` says when to ask again",
};

/** The document that describes `routes`: OpenAPI 3.1. */
export function openApiDocument(routes: readonly Route[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) };
  }
  paths[authorizePath] = { get: authorizeOperation };
  return {
    openapi: "3.1.1",
    info: {
      title: "nexusd: REST routes",
      version: "1",
      description:
        "The routes of the Nexus gateway and broker, on the http listener of nexusd, and the one for proxies. A path with slashes at its end is the same path without them. No text holds U+0000. New clients use the gRPC and Connect services of nexus.v1.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }, { bearer: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas,
      securitySchemes: {
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
        bearer: { type: "http", scheme: "bearer" },
      },
    },
  };
}

function operation(route: Route): JsonObject {
  const { status, schema, headers, mayRedirect } = route.success;
  const errors = route.open
    ? [500]
    : [400, 401, 403, ...route.errors, ...(takesBody(route) ? [413] : []), 429, 431, 500, 503];
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    ...(route.open ? { security: [] } : {}),
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(route.body
      ? {
          requestBody: { required: true, content: { "application/json": { schema: reference(route.body) } } },
        }
      : {}),
    responses: {
      [status]: { ...described(status, schema), ...(headers && { headers: headersOf(headers) }) },
      ...(mayRedirect && {
        302: {
          ...described(302, schema),
          headers: headersOf({ Location: "The return URL, with the outcome." }),
        },
      }),
      ...Object.fromEntries([...new Set(errors)].map((code) => [code, described(code, "Error")])),
    },
  };
}

/** Methods whose body is read, wanted or not. */
export function takesBody({ method }: Route): boolean {
  return method !== "GET" && method !== "DELETE";
}

/** Headers that say what to do about an error. */
const errorHeaders: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { "WWW-Authenticate": "`Bearer`: how to show who calls." },
  429: { "Retry-After": "Seconds, where time helps." },
  503: { "Retry-After": "Seconds, where it is known." },
};

function described(status: number, schema: SchemaName): JsonObject {
  const headers = errorHeaders[status];
  return {
    description: meanings[status] ?? "",
    ...(headers && { headers: headersOf(headers) }),
    content: { [schema === "Metrics" ? "text/plain" : "application/json"]: { schema: reference(schema) } },
  };
}

function headersOf(headers: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

function reference(name: SchemaName): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

function pathParameters({ path }: Route): JsonObject[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: name === "id" ? { type: "string", format: "uuid" } : { type: "string", minLength: 1 },
  }));
}

function queryParameters({ query = {} }: Route): JsonObject[] {
  return Object.entries(query).map(([name, { description, required = false, schema }]) => ({
    name,
    in: "query",
    description,
    required,
    ...(required ? {} : { allowEmptyValue: true }),
    schema,
  }));
}
