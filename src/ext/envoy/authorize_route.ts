import { create } from "@bufbuild/protobuf";
import { AttributeContextSchema } from "../../gen/envoy/service/auth/v3/attribute_context_pb.js";
import {
  Authorization,
  CheckRequestSchema,
  type CheckResponse,
  type OkHttpResponse,
} from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import { overriddenBy, type Principal } from "../../model/access/access.js";
import { headerNameViolation } from "../../model/model.js";
import {
  answerJson,
  answerOrDestroy,
  callerTrace,
  type OnUnexpected,
  pathOf,
  type Request,
  type Response,
  type Routes,
  unauthenticatedMessage,
  writeJson,
} from "../../server/kit.js";
import { type BoundService, WireError } from "../../service/service.js";
import { metadataFields, routeFields } from "./check_message.js";

export interface AuthorizeRouteOptions {
  /** One of them is `envoy.service.auth.v3.Authorization`. */
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
}

const prefix = "/v1/authorize/";

/**
 * `GET /v1/authorize/{connection_id}`, or with a name (`nexus.v1.ConnectionName`) instead of the id. It is the external authorization for
 * nginx's `auth_request` and the forward auth of Caddy and Traefik. A 2xx has the headers that the proxy must set, `x-nexus-uri` if the
 * credential goes into the query, and `x-nexus-revision`, the number of the credential. Anything else denies.
 *
 * The proxy reports a credential that the API refused, as `ReportRejectedToken` does, with `x-nexus-refused-revision`,
 * `x-nexus-refused-status`, `x-nexus-refused-challenge` (the API's `WWW-Authenticate`) and `x-nexus-refused-nonce` (its `DPoP-Nonce`). The
 * answer is then for one other try. `x-nexus-upstream-host` and, for an API without TLS, `x-nexus-upstream-scheme` say where the request
 * goes, for proofs.
 */
export function authorizeRoute({ services, onUnexpected }: AuthorizeRouteOptions): Routes {
  const methods = services.flatMap((service) => service.methods);
  const check = methods.find(({ descriptor }) => descriptor === Authorization.method.check);
  if (check?.kind !== "unary") throw new Error("no service has Check");
  const serve = async (
    request: Request,
    response: Response,
    connection: string,
    principal: Principal,
  ): Promise<void> => {
    const controller = new AbortController();
    response.once("close", () => controller.abort());
    const path = field(request, "x-original-uri") ?? field(request, "x-forwarded-uri") ?? "";
    const attributes = create(AttributeContextSchema, {
      contextExtensions: { [routeFields.connection]: connection, ...saidByProxy(request) },
      request: {
        http: {
          method: field(request, "x-original-method") ?? field(request, "x-forwarded-method") ?? "GET",
          path,
          // The proxy sends neither headers nor body here, except headers that change method or path.
          headers: overridesIn(request),
          size: -1n,
        },
      },
    });
    const trace = callerTrace(field(request, "traceparent"), field(request, "tracestate"));
    const context = { principal, signal: controller.signal, trace };
    const answer = await check.call(create(CheckRequestSchema, { attributes }), context);
    send(response, answer as CheckResponse, path);
  };
  return (request, response, principal) => {
    const path = pathOf(request);
    if (!path.startsWith(prefix)) return false;
    const connection = path.slice(prefix.length);
    if (request.method !== "GET" && request.method !== "HEAD") {
      const headers = { allow: "GET, HEAD" };
      answerJson(response, 405, "method_not_allowed", "this path takes GET, HEAD", headers);
    } else if (!principal) {
      const headers = { "www-authenticate": "Bearer" };
      const text = unauthenticatedMessage(field(request, "authorization"), field(request, "x-api-key"));
      answerJson(response, 401, "unauthenticated", text, headers);
    } else {
      serve(request, response, connection, principal).catch((error: unknown) => {
        if (!(error instanceof WireError)) onUnexpected(error, path);
        answerOrDestroy(response, () =>
          answerJson(response, 503, "unavailable", "the request cannot be decided just now"),
        );
      });
    }
    return true;
  };
}

function overridesIn(request: Request): Record<string, string> {
  const names = Object.keys(request.headers).filter((name) => overriddenBy(name) !== undefined);
  return Object.fromEntries(names.map((name) => [name, field(request, name) ?? ""]));
}

/** Where the request goes, and what the API responded to one that an earlier answer was put into. */
function saidByProxy(request: Request): Record<string, string> {
  const fields: readonly (readonly [header: string, name: string])[] = [
    ["x-nexus-refused-revision", routeFields.refusedRevision],
    ["x-nexus-refused-status", routeFields.refusedStatus],
    ["x-nexus-refused-challenge", routeFields.refusedChallenge],
    ["x-nexus-refused-nonce", routeFields.refusedNonce],
    ["x-nexus-upstream-host", routeFields.upstreamHost],
    ["x-nexus-upstream-scheme", routeFields.upstreamScheme],
  ];
  return Object.fromEntries(
    fields.flatMap(([header, name]) => {
      const value = field(request, header);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function send(response: Response, { httpResponse, dynamicMetadata }: CheckResponse, path: string): void {
  if (response.headersSent || response.destroyed) return;
  if (httpResponse.case === "okResponse") {
    const uri = uriOf(path, httpResponse.value);
    response.writeHead(200, {
      ...Object.fromEntries(headersOf(httpResponse.value.headers)),
      ...(uri !== undefined && { "x-nexus-uri": uri }),
      "x-nexus-revision": String(dynamicMetadata?.[metadataFields.revision]),
      "content-length": 0,
      "cache-control": "no-store",
    });
    response.end();
    return;
  }
  if (httpResponse.case !== "deniedResponse") throw new Error("an answer without a decision");
  const { status, headers, body } = httpResponse.value;
  const code = status?.code ?? 403;
  const challenge = code === 401 ? { "www-authenticate": "Bearer" } : {};
  writeJson(response, code, JSON.parse(body), {
    headers: { ...Object.fromEntries(headersOf(headers)), ...challenge },
  });
}

/** @throws Error for a header that would frame the answer itself, whatever let it through */
function headersOf(options: OkHttpResponse["headers"]): [string, string][] {
  return options.flatMap(({ header }) => {
    if (!header) return [];
    const violation = headerNameViolation(header.key);
    if (violation !== undefined) throw new Error(`the header ${header.key} ${violation}`);
    return [[header.key, header.value]];
  });
}

/** The path with the credential in its query; undefined where it does not go there. */
function uriOf(path: string, ok: OkHttpResponse): string | undefined {
  const { queryParametersToSet: set, queryParametersToRemove: removed } = ok;
  if (set.length === 0) return undefined;
  const [before = "", ...query] = path.split("?");
  const gone = [...removed, ...set.map(({ key }) => key)];
  const kept = query
    .join("?")
    .split("&")
    .filter((pair) => pair !== "" && !gone.includes(pair.split("=", 1)[0] ?? ""));
  return `${before}?${[...kept, ...set.map(({ key, value }) => `${key}=${value}`)].join("&")}`;
}

function field(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}
