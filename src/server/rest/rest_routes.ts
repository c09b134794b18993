import type { Principal } from "../../model/access/principal.js";
import type { JsonObject } from "../../model/json.js";
import { defaultLimits } from "../../model/limits.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import type { RestAnswer } from "../../service/pipeline/rest_error.js";
import { RestRefusal, restError } from "../../service/pipeline/rest_error.js";
import { callerOf } from "../../service/pipeline/rpc_call.js";
import { callerTrace, unauthenticatedMessage } from "../callers/request_headers.js";
import { answerJson, writeJson } from "../connect/json_answer.js";
import { MalformedJson, objectFromJson } from "../connect/json_request.js";
import {
  answerOrDestroy,
  pathOf,
  queryOf,
  type Request,
  type Response,
  type Routes,
  readBody,
} from "../listen/http_message.js";
import type { OnUnexpected } from "../listen/listener.js";
import { takesBody } from "./openapi.js";
import type { RestRequest, RestRoute } from "./route.js";
import { restTable } from "./table.js";

export interface RestRoutesOptions {
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
  readonly table?: readonly RestRoute[];
  readonly maxBodyBytes?: number;
  readonly nowMs: () => number;
  readonly metrics: RestRequest["metrics"];
}

/** The REST routes, for the paths that are no RPC. They ask for the key that RPCs ask for. */
export function restRoutes(options: RestRoutesOptions): Routes {
  const routes = new RestRoutes(options);
  return (request, response, principal) => routes.answer(request, response, principal);
}

class RestRoutes {
  readonly #patterns: readonly Pattern[];
  readonly #callerFor: ReturnType<typeof callerOf>;

  constructor(private readonly options: RestRoutesOptions) {
    const { table = restTable, services } = options;
    this.#patterns = table.map((route) => ({ route, segments: route.path.slice(1).split("/") }));
    this.#callerFor = callerOf(services);
  }

  /** @returns false when nothing is served at the path */
  answer(request: Request, response: Response, principal: Principal | undefined): boolean {
    const path = pathOf(request);
    const { onUnexpected } = this.options;
    const withoutSlash = path.replace(/(?<=.)\/+$/, "").slice(1);
    const found = this.#find(withoutSlash.split("/"));
    if (found.routes.length === 0) return false;
    const caller = new AbortController();
    response.once("close", () => {
      if (!response.writableEnded) caller.abort();
    });
    this.#serve(request, found, principal, caller.signal)
      .catch((error: unknown) => {
        try {
          return restError(error);
        } catch (unexpected) {
          onUnexpected(unexpected, path);
          return restError(new RestRefusal(500, "internal", "internal error"));
        }
      })
      .then((answer) => {
        if (!caller.signal.aborted) send(request, response, answer);
      })
      .catch((error: unknown) => {
        onUnexpected(error, path);
        answerOrDestroy(response, () => answerJson(response, 500, "internal", "internal error"));
      });
    return true;
  }

  /** The methods of a path, by the pattern with the most literal segments. */
  #find(segments: readonly string[]): RoutesOfPath {
    const fitting = this.#patterns.filter((pattern) => fits(pattern.segments, segments));
    const literals = (pattern: Pattern): number =>
      pattern.segments.filter((segment) => !segment.startsWith("{")).length;
    const most = Math.max(...fitting.map(literals));
    const best = fitting.filter((pattern) => literals(pattern) === most);
    return {
      routes: best.map(({ route }) => route),
      params: paramsOf(best[0]?.segments ?? [], segments),
    };
  }

  async #serve(
    request: Request,
    { routes, params }: RoutesOfPath,
    principal: Principal | undefined,
    signal: AbortSignal,
  ): Promise<RestAnswer> {
    const { maxBodyBytes = defaultLimits.maxBodyBytes, nowMs, metrics } = this.options;
    const method = request.method === "HEAD" ? "GET" : request.method;
    if (method === "OPTIONS") return { status: 204, body: null, headers: { allow: allowed(routes) } };
    const route = routes.find((candidate) => candidate.method === method);
    if (!principal && !route?.open) {
      const { authorization, "x-api-key": key } = request.headers;
      const text = unauthenticatedMessage(authorization, key);
      throw new RestRefusal(401, "unauthenticated", text, { "www-authenticate": "Bearer" });
    }
    if (!route) {
      const allow = allowed(routes);
      throw new RestRefusal(405, "method_not_allowed", `this path takes ${allow}`, { allow });
    }
    if (!params) throw new RestRefusal(400, "bad_request", "the path is not well percent-encoded");
    const rest: RestRequest = {
      params,
      query: queryOf(request),
      body: takesBody(route) ? await readJsonBody(request, maxBodyBytes) : {},
      nowMs: nowMs(),
      metrics,
    };
    const trace = callerTrace(request.headers["traceparent"], request.headers["tracestate"]);
    // An open route makes no calls, for it has no caller.
    const call = principal
      ? this.#callerFor({ principal, trace, signal })
      : () => Promise.reject(new Error("an open route made a call"));
    return await route.handle(rest, call);
  }
}

/**
 * Reads a JSON object; none at all counts as an empty one. The content type is not looked at: the existing servers do not,
 * and `curl -d` says form.
 *
 * @throws RestRefusal; InvalidArgument
 */
async function readJsonBody(request: Request, maxBodyBytes: number): Promise<JsonObject> {
  const bytes = await readBody(request, maxBodyBytes);
  if (bytes === "aborted") throw new RestRefusal(499, "cancelled", "the request ended early");
  if (bytes === "too_large") {
    const limit = `${maxBodyBytes} bytes (the setting is NEXUS_MAX_BODY_BYTES)`;
    throw new RestRefusal(413, "body_too_large", `the body must not exceed ${limit}`);
  }
  try {
    return bytes.length === 0 ? {} : objectFromJson(bytes);
  } catch (error) {
    throw error instanceof MalformedJson ? new RestRefusal(400, "invalid_json", error.message) : error;
  }
}

interface Pattern {
  readonly route: RestRoute;
  readonly segments: readonly string[];
}

interface RoutesOfPath {
  /** One for each method. */
  readonly routes: readonly RestRoute[];
  /** Undefined when the path is not well encoded. */
  readonly params: Readonly<Record<string, string>> | undefined;
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((wanted, index) =>
    wanted.startsWith("{") ? segments[index] !== "" : wanted === segments[index],
  );
}

function paramsOf(pattern: readonly string[], segments: readonly string[]): RoutesOfPath["params"] {
  try {
    return Object.fromEntries(
      pattern.flatMap((segment, index) =>
        segment.startsWith("{") ? [[segment.slice(1, -1), decodeURIComponent(segments[index] ?? "")]] : [],
      ),
    );
  } catch {
    return undefined;
  }
}

function allowed(routes: readonly RestRoute[]): string {
  const methods = routes.map(({ method }) => method);
  return [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
}

function send(request: Request, response: Response, { status, body, text, headers = {} }: RestAnswer): void {
  if (status === 204 || text) {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, {
      ...headers,
      ...(text && {
        "content-type": text.contentType,
        "content-length": Buffer.byteLength(text.body),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      }),
    });
    if (request.method === "HEAD" || !text) response.end();
    else (response as NodeJS.WritableStream).end(text.body);
    return;
  }
  writeJson(response, status, body, { headers, headOnly: request.method === "HEAD" });
}
