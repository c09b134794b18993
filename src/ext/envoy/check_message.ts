import { create } from "@bufbuild/protobuf";
import type { ConnectionKey } from "../../domain/access/access.js";
import { HeaderValueOption_HeaderAppendAction } from "../../gen/envoy/config/core/v3/base_pb.js";
import type { AttributeContext_HttpRequest } from "../../gen/envoy/service/auth/v3/attribute_context_pb.js";
import {
  type CheckRequest,
  type CheckResponse,
  CheckResponseSchema,
} from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import { describedUrl } from "../../model/access/access.js";
import { codes, restError, type WireError } from "../../service/service.js";
import { parseConnectionPath } from "./injected_secret.js";
import type { ProxiedRequest } from "./proxied_request.js";
import type { Authorized, RefusedInjection } from "./proxy_authorizer.js";

/** What a route says in `context_extensions`; callers of the proxy have no say in it. */
export const routeFields = {
  /** An id, or a name as `nexus.v1.ConnectionName` says. */
  connection: "connection_id",
  /** Of the API, where the proxy sends another one than its caller did. */
  upstreamHost: "upstream_host",
  /** `http` where the API is called without TLS. */
  upstreamScheme: "upstream_scheme",
  /** Of the credential that the API refused, as it was answered with it; and the status and challenge of the API. */
  refusedRevision: "refused_revision",
  refusedStatus: "refused_status",
  refusedChallenge: "refused_challenge",
  /** `DPoP-Nonce` of the API. */
  refusedNonce: "refused_nonce",
} as const;

/** In the dynamic metadata of an answer, the revision as `x-nexus-revision` too: of the credential that is put in. */
export const metadataFields = { connectionId: "connection_id", revision: "revision" } as const;

/** Undefined where the route names none. */
export function connectionOfRoute({ attributes }: CheckRequest): ConnectionKey | undefined {
  return parseConnectionPath((attributes?.contextExtensions[routeFields.connection] ?? "").split("/"));
}

/** Undefined where the route says of no refusal, and of a revision that is none. */
export function refusalOfRoute({ attributes }: CheckRequest): RefusedInjection | undefined {
  const extensions = attributes?.contextExtensions ?? {};
  const revision = extensions[routeFields.refusedRevision] ?? "";
  if (!/^[1-9]\d{0,18}$/.test(revision)) return undefined;
  return {
    revision: BigInt(revision),
    status: extensions[routeFields.refusedStatus] === "403" ? 403 : 401,
    wwwAuthenticate: extensions[routeFields.refusedChallenge]?.slice(0, maxChallenge) ?? "",
    dpopNonce: extensions[routeFields.refusedNonce] ?? "",
  };
}

/** As in ReportRejectedToken. */
const maxChallenge = 8_192;

export function proxiedRequest({ attributes }: CheckRequest): ProxiedRequest {
  const http = attributes?.request?.http;
  const route = attributes?.contextExtensions ?? {};
  const host = route[routeFields.upstreamHost] ?? http?.host;
  const headerFields = headerFieldsOf(http);
  const headers = joined(headerFields);
  return {
    method: http?.method ?? "",
    host: host && describedUrl(`https://${host}`).host,
    scheme: route[routeFields.upstreamScheme] === "http" ? "http" : "https",
    path: http?.path.startsWith("/") === true ? http.path : undefined,
    headers,
    headerFields,
    body: http && bodyOf(http, headers),
  };
}

/** Each as often as it came. */
function headerFieldsOf(
  http: AttributeContext_HttpRequest | undefined,
): readonly (readonly [string, string])[] {
  const raw = http?.headerMap?.headers.map(
    ({ key, value, rawValue }) =>
      [key, rawValue.length > 0 ? Buffer.from(rawValue).toString() : value] as const,
  );
  return (raw ?? Object.entries(http?.headers ?? {})).map(([name, value]) => [name.toLowerCase(), value]);
}

/** RFC 9110 section 5.3. */
function joined(pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of pairs) {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

/** The whole body, or undefined: Envoy shows none, a part, or a text with other bytes in it, as its filter is set. */
function bodyOf(
  { rawBody, body, size, method }: AttributeContext_HttpRequest,
  headers: ReadonlyMap<string, string>,
): Uint8Array | undefined {
  if (body !== "" || size < 0n || headers.get("x-envoy-auth-partial-body") === "true") return undefined;
  const length = headers.get("content-length");
  if (length !== undefined) return Number(length) === rawBody.length ? rawBody : undefined;
  const mayBeWithout =
    ["GET", "HEAD", "DELETE", "OPTIONS"].includes(method) && !headers.has("transfer-encoding");
  return rawBody.length > 0 || mayBeWithout ? rawBody : undefined;
}

export function okResponse(authorized: Authorized): CheckResponse {
  const { setHeaders, removeHeaders, setQuery, removeQuery, connectionId, revision } = authorized;
  const appendAction = HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD;
  return create(CheckResponseSchema, {
    status: { code: 0 },
    dynamicMetadata: {
      [metadataFields.connectionId]: connectionId,
      [metadataFields.revision]: String(revision),
    },
    httpResponse: {
      case: "okResponse",
      value: {
        headers: setHeaders.map(([key, value]) => ({ header: { key, value }, appendAction })),
        headersToRemove: [...removeHeaders],
        queryParametersToSet: setQuery.map(([key, value]) => ({ key, value })),
        queryParametersToRemove: [...removeQuery],
      },
    },
  });
}

/**
 * The caller of the proxy gets 401 if there is no credential for it, and 403 if it may not have it or it cannot be used so. It gets 400 for a
 * request that servers read in several ways, and 503 if an answer may change soon.
 *
 * @param status of an API whose refusal stands
 */
export function deniedResponse(error: WireError, status = statusOf(error)): CheckResponse {
  const { body, headers = {} } = restError(error);
  return create(CheckResponseSchema, {
    status: { code: error.code },
    httpResponse: {
      case: "deniedResponse",
      value: {
        status: { code: status },
        headers: Object.entries({ ...headers, "content-type": "application/json" }).map(([key, value]) => ({
          header: { key, value },
        })),
        body: JSON.stringify(body),
      },
    },
  });
}

function statusOf({ code }: WireError): number {
  switch (code) {
    case codes.invalid_argument:
      return 400;
    case codes.failed_precondition:
    case codes.data_loss:
    case codes.unauthenticated:
      return 401;
    case codes.resource_exhausted:
      return 429;
    case codes.unavailable:
    case codes.aborted:
    case codes.deadline_exceeded:
      return 503;
    default:
      return 403;
  }
}
