import type { JsonObject } from "../../model/json.js";
import { type ProfileField, profileFields } from "../../model/providers/profile_fields.js";
import document from "./openapi.json" with { type: "json" };
import type { RestRoute, SchemaName } from "./route.js";

/** The settings of a profile that are beyond the contract, by their names in the proto. */
function beyond(schemaOf: (field: ProfileField) => JsonObject): JsonObject {
  const { properties } = document.components.schemas.ProviderProfile;
  const fields = profileFields.filter(({ name }) => !Object.hasOwn(properties, name) && name !== "template");
  return Object.fromEntries(fields.map((field) => [field.name, schemaOf(field)]));
}

function settingSchema({ kind }: ProfileField): JsonObject {
  switch (kind) {
    case "text":
    case "word":
      return { type: "string" };
    case "flag":
      return { type: "boolean" };
    case "number":
      return { type: "integer", minimum: 0 };
    case "duration":
      return { type: "string", description: "A duration, such as 90s." };
    case "texts":
      return { type: "array", items: { type: "string" } };
    default:
      return {
        ...document.components.schemas.OpenApiDocument,
        ...(kind === "strategy" && { description: "`{type, config}`, instead of the spellings above." }),
      };
  }
}

/** A request may hold null for what is absent. */
function orNull(schema: JsonObject): JsonObject {
  return { ...schema, type: [schema["type"] ?? "string", "null"].flat() };
}

function withBeyond(name: "Provider" | "ProviderProfile", more: JsonObject): JsonObject {
  const schema = document.components.schemas[name];
  return { ...schema, properties: { ...schema.properties, ...more } };
}

export const schemas: Readonly<Record<SchemaName, JsonObject>> = {
  ...document.components.schemas,
  ProviderProfile: withBeyond(
    "ProviderProfile",
    beyond((field) => orNull(settingSchema(field))),
  ),
  Provider: withBeyond("Provider", beyond(settingSchema)),
};

/** What a status means, whatever the route. */
const meanings: Readonly<Record<number, string>> = {
  200: "Done",
  201: "Created",
  302: "Done; the browser is sent to the return URL",
  400: "The request is invalid; `details` names each field",
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
export function openApiDocument(routes: readonly RestRoute[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    ...document,
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths: { ...paths, ...document.paths },
    components: { ...document.components, schemas },
  };
}

function operation(route: RestRoute): JsonObject {
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
export function takesBody({ method }: RestRoute): boolean {
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

function pathParameters({ path }: RestRoute): JsonObject[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: name === "id" ? { type: "string", format: "uuid" } : { type: "string", minLength: 1 },
  }));
}

function queryParameters({ query = {} }: RestRoute): JsonObject[] {
  return Object.entries(query).map(([name, { description, required = false, schema }]) => ({
    name,
    in: "query",
    description,
    required,
    ...(required ? {} : { allowEmptyValue: true }),
    schema,
  }));
}
