import type { DescMethod } from "@bufbuild/protobuf";
import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import type { JsonObject, JsonValue } from "../../model/json.js";
import { JsonFields } from "../../model/json_fields.js";
import type { RestAnswer } from "../../service/pipeline/rest_error.js";
import { rpcName, rpcOptions } from "../../service/pipeline/rpc_access.js";
import type { Call } from "../../service/pipeline/rpc_call.js";
import type document from "./openapi.json";

/** A request whose path, method and body are known to be well-formed. */
export interface RestRequest {
  /** Values of the pattern's `{name}` segments, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Empty where there was no body. */
  readonly body: JsonObject;
  /** When it came in. */
  readonly nowMs: number;
  /** What `/metrics` of the `ops` listener answers. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A schema of `openapi.json`, which says all that no table of the code says. */
export type SchemaName = keyof typeof document.components.schemas;

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
export type RestMethod = (typeof methods)[number];

/** One row of the table: what is served, and what the OpenAPI document says of it. */
export interface RestRoute extends Operation {
  /** Undefined where no RPC answers. */
  readonly rpc?: DescMethod;
  readonly method: RestMethod;
  /** A segment `{name}` takes any text; one that is spelled out goes before it. */
  readonly path: string;
}

/** A route without its place. */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tag: "providers" | "connections" | "tokens" | "capture" | "audit" | "health" | "document";
  readonly query?: Readonly<Record<string, QueryParameter>>;
  readonly body?: SchemaName;
  readonly success: {
    readonly status: 200 | 201;
    readonly schema: SchemaName;
    /** Headers that the answer may have, by name, with what each says. */
    readonly headers?: Readonly<Record<string, string>>;
    /** Answered with 302 and the same body where there is a URL to lead to. */
    readonly mayRedirect?: true;
  };
  /** Beyond those that every route has. */
  readonly errors: readonly number[];
  /** Answered without a key. */
  readonly open?: true;
  handle(request: RestRequest, call: Call): Promise<RestAnswer>;
}

/** One that is not required may be empty, which is as if it were absent. */
export interface QueryParameter {
  readonly description: string;
  readonly required?: true;
  readonly schema: JsonObject;
}

export function answer(body: JsonValue, status: 200 | 201 = 200): RestAnswer {
  return { status, body };
}

/** What answers requests of REST by an RPC. */
export interface RpcRoute extends RestRoute {
  readonly rpc: DescMethod;
}

/**
 * An operation at the method and the path that the options of its RPC give it.
 *
 * @throws Error when they give it none
 */
export function routeOf(rpc: DescMethod, operation: Operation): RpcRoute {
  const { operationId } = operation;
  const found = rpcOptions(rpc)?.rest.find((each) => each.operation === operationId);
  const method = methods.find((each) => each === found?.method);
  if (!found || !method) throw new Error(`${rpcName(rpc)} has no request of REST called ${operationId}`);
  return { ...operation, rpc, method, path: found.path };
}

/** The same route at the path of the Nexus broker. */
export function alias(route: RpcRoute, change: Partial<Operation> = {}): RpcRoute {
  const { operationId, summary } = route;
  const own = { operationId: `${operationId}Alias`, summary: `${summary} (alias)` };
  return routeOf(route.rpc, { ...route, ...own, ...change });
}

/**
 * Reads the fields of a body. Null counts as absent: it is what an unset slice or pointer of a Go client looks like.
 *
 * @throws InvalidArgument naming every field of another type
 */
export function readFields<T>(body: JsonObject, read: (fields: JsonFields) => T): T {
  const violations: FieldViolation[] = [];
  const result = read(new JsonFields(body, violations));
  if (violations.length > 0) throw new InvalidArgument(violations);
  return result;
}

/** Ids are UUIDs; their case does not matter (RFC 9562 section 4). */
export function idOf(value: string | undefined): string {
  return (value ?? "").trim().toLowerCase();
}
