import { connectionStatuses } from "../../model/connections/connection.js";
import type { JsonObject } from "../../model/json.js";
import { authTypes, type ProfileField, profileFields } from "../../model/providers/profile_fields.js";

/** The statuses that clients of Nexus know: `WaitForActive` polls until `active` or `failed`. */
export const gatewayStatuses = ["pending", "active", "failed"] as const;

const text = { type: "string" } as const;
const texts = { type: "array", items: text } as const;
const uuid = { type: "string", format: "uuid" } as const;
const time = { type: "string", format: "date-time" } as const;
/** `__proto__` is refused as the name of a member, wherever it stands. */
const propertyNames = { not: { const: "__proto__" } } as const;
const anyObject = { type: "object", propertyNames } as const;
/** What is shown in one line. */
const line = (maxLength: number) => ({ ...text, maxLength, pattern: "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" });
const url = { ...text, maxLength: 2048 } as const;
/** Scope-tokens of RFC 6749 section 3.3. */
const scopes = {
  type: "array",
  items: { ...text, minLength: 1, maxLength: 256, pattern: "^[!#-\\[\\]-~]+$" },
  maxItems: 100,
  uniqueItems: true,
} as const;
const count = { type: "integer", minimum: 0 } as const;
/** Empty where the event is of none. */
const uuidOrNone: JsonObject = { anyOf: [uuid, { type: "string", const: "" }] };

/** An answer has all of `properties` but the `optional` ones; it may gain more. */
function answered(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", required, properties };
}

function says(schema: JsonObject, description: string): JsonObject {
  return { ...schema, description };
}

/** A request may hold members that are not known, and null for what is absent. */
function requested(
  properties: Readonly<Record<string, JsonObject>>,
  required: readonly string[] = [],
): JsonObject {
  const optional = Object.entries(properties).map(([name, schema]) => [
    name,
    required.includes(name) ? schema : { ...schema, type: [schema["type"] ?? "string", "null"].flat() },
  ]);
  return {
    type: "object",
    required: [...required],
    properties: Object.fromEntries(optional),
    propertyNames,
  };
}

const contracts = {
  name: says(
    { ...text, pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", maxLength: 63 },
    "Unique; looked up trimmed and lower-cased.",
  ),
  auth_type: says(
    { type: "string" },
    `One of ${authTypes.join(", ")}; \`oauth2\` when empty. It cannot be changed.`,
  ),
  client_id: line(1024),
  client_secret: says({ ...text, maxLength: 4096, writeOnly: true }, "Kept when it is absent or empty."),
  auth_url: url,
  token_url: url,
  issuer: url,
  enable_discovery: { type: "boolean" },
  scopes: says(scopes, "Defaults of new connections."),
  auth_header: says(
    text,
    "Static types: name of the header. `oauth2`: `client_secret_basic` or `Basic`, anything else means in the body.",
  ),
  auth_strategy: {
    type: ["string", "object"] as string[],
    description: "The kind, or `{type, config}`; also as `params.auth_strategy`.",
  },
  api_base_url: url,
  user_info_endpoint: url,
  description: { ...text, maxLength: 1024, pattern: "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]*$" },
  category: line(128),
  params: says(
    anyObject,
    "Known keys, and for `oauth2` extra parameters of the authorization request; none can replace one of the protocol.",
  ),
} satisfies Record<string, JsonObject>;

/** What is beyond the contract: the settings by their names in the proto. */
const beyond = Object.fromEntries(
  profileFields
    .filter(({ name }) => !Object.hasOwn(contracts, name) && name !== "template")
    .map((field) => [field.name, settingSchema(field)]),
);

function settingSchema({ kind }: ProfileField): JsonObject {
  switch (kind) {
    case "text":
    case "word":
      return text;
    case "flag":
      return { type: "boolean" };
    case "number":
      return { type: "integer", minimum: 0 };
    case "duration":
      return says(text, "A duration, as 90s.");
    case "texts":
      return texts;
    case "strategy":
      return says(anyObject, "`{type, config}`, in place of the spellings above.");
    default:
      return anyObject;
  }
}

const profile: Readonly<Record<string, JsonObject>> = { ...contracts, ...beyond };
const { client_secret: _secret, ...readable } = profile;
const beyondContract = Object.keys(beyond);

const userId = { ...text, maxLength: 256, pattern: "^[^\\u0000-\\u001f\\u007f]*$" } as const;
const connectionRequest = {
  user_id: says(userId, "The caller's identifier of the user."),
  provider_id: says(
    { ...text, pattern: "^(|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$" },
    "Id of the profile; counts before the name.",
  ),
  provider_name: text,
  scopes: says(
    { type: "array", items: { ...text, pattern: "^\\s*[!#-\\[\\]-~]{0,256}\\s*$" } },
    "In place of the profile's defaults; spaces around one do not count.",
  ),
  return_url: says(text, "Its origin must be one of NEXUS_ALLOWED_RETURN_URLS."),
  require_confirmation: says(
    { type: "boolean" },
    "The token is readable only after /v1/confirm-connection. Needs `return_url`.",
  ),
};

/** At least one of the fields must say something. */
function oneOf(...names: string[]): JsonObject {
  return {
    anyOf: names.map((name) => ({
      required: [name],
      properties: { [name]: { type: "string", pattern: "\\S" } },
    })),
  };
}

const metadata = answered({
  id: uuid,
  api_base_url: text,
  user_info_endpoint: text,
  scopes: texts,
  description: text,
  category: text,
});

/** Components of the OpenAPI document. */
export const schemas = {
  Error: answered(
    {
      error: says(text, "A stable word."),
      code: says(text, "The same."),
      message: says(text, "A sentence for a person."),
      details: says(
        { type: "array", items: answered({ field: text, description: text }) },
        "Every field that is at error.",
      ),
    },
    ["details"],
  ),
  NewProvider: requested({ profile: { $ref: "#/components/schemas/ProviderProfile", type: "object" } }, [
    "profile",
  ]),
  ProviderProfile: requested(profile),
  ProviderCreated: answered({ id: uuid, message: text }),
  Provider: answered(
    {
      id: uuid,
      ...readable,
      scopes: says(
        { type: ["array", "null"], items: text },
        "Defaults of new connections; null where there are none.",
      ),
      client_secret_set: { type: "boolean" },
      created_at: time,
      updated_at: time,
    },
    beyondContract,
  ),
  Message: answered({ message: text }),
  Health: answered({ status: { type: "string", const: "healthy" } }),
  Metrics: says(text, "The text format of Prometheus."),
  ProviderDeleted: answered({ message: text, orphaned_connections: { type: "integer", minimum: 0 } }),
  ProviderMetadata: {
    type: "object",
    description: "By type, then by name.",
    additionalProperties: { type: "object", additionalProperties: metadata },
  },
  ProviderNames: { type: "array", items: answered({ id: uuid, name: text }) },
  ConnectionRequest: {
    ...requested(connectionRequest),
    allOf: [oneOf("user_id"), oneOf("provider_id", "provider_name")],
  },
  ConsentSpecRequest: {
    ...requested({ ...connectionRequest, workspace_id: says(userId, "In place of `user_id`.") }),
    allOf: [oneOf("user_id", "workspace_id"), oneOf("provider_id", "provider_name")],
  },
  RequestedConnection: answered({
    authUrl: says(
      {
        anyOf: [
          { ...text, format: "uri" },
          { ...text, maxLength: 0 },
        ],
      },
      "To be opened in the person's browser; empty where the provider needs no person: the connection is active.",
    ),
    state: text,
    scopes: texts,
    provider_id: uuid,
    connection_id: uuid,
  }),
  Confirmation: requested(
    { connection_id: uuid, completion_code: { ...text, minLength: 1, maxLength: 128 } },
    ["connection_id", "completion_code"],
  ),
  ConfirmedConnection: answered({
    connection_id: uuid,
    status: { type: "string", enum: [...connectionStatuses] },
  }),
  ConnectionState: answered({
    status: says(
      { type: "string", enum: [...gatewayStatuses] },
      "`failed` also for what needs another consent: `state` says more.",
    ),
    state: { type: "string", enum: [...connectionStatuses] },
  }),
  Token: answered(
    {
      strategy: answered({ type: text, config: { type: "object", additionalProperties: text } }),
      credentials: says(
        { type: "object", additionalProperties: { type: ["string", "boolean"] } },
        "The fields that the strategy names; for `oauth2` with `token_type`, `scope`, `id_token`, `expires_at` (RFC 3339) and `expired`, and at the root too. Never a refresh token.",
      ),
      expires_at: says({ type: "integer" }, "Unix seconds; the year 9999 for static credentials."),
      expires_in: says({ type: "integer", minimum: 0 }, "Seconds from now, for `oauth2`."),
      access_token: text,
      token_type: text,
      scope: text,
      id_token: text,
      expired: { type: "boolean" },
    },
    ["expires_at", "expires_in", "access_token", "token_type", "scope", "id_token", "expired"],
  ),
  CaptureSchema: answered({ provider_name: text, schema: anyObject }),
  Capture: requested({ state: text, credentials: anyObject }, ["state", "credentials"]),
  Captured: answered({
    connection_id: uuid,
    status: { type: "string", const: "success" },
    redirect_url: says(text, "Where to send the person's browser; empty when there is no return URL."),
  }),
  AuditEvent: answered({
    sequence: { type: "integer" },
    time,
    event_type: text,
    principal: text,
    connection_id: uuidOrNone,
    provider_id: uuidOrNone,
    reason: text,
    origin: text,
    hash: text,
    count: says(count, "How often, when the event stands for several; 0 means once."),
    revision: says(count, "Of the credential that the event is about; 0 when it is about none."),
    ...{ agent: text, session: text, user_id: text, rule: text, approver: text, trace_id: text },
  }),
  AuditRows: {
    type: "array",
    items: answered(
      {
        id: text,
        event_type: text,
        created_at: time,
        connection_id: uuid,
        event_data: says(text, "A JSON object as text: the further fields of an AuditEvent."),
        ip_address: text,
        user_agent: text,
      },
      ["connection_id", "ip_address", "user_agent"],
    ),
  },
  AuditPage: answered({
    events: { type: "array", items: { $ref: "#/components/schemas/AuditEvent" } },
    next_page_token: says(text, "Empty on the last page."),
  }),
  OpenApiDocument: anyObject,
} satisfies Record<string, JsonObject>;

export type SchemaName = keyof typeof schemas;
