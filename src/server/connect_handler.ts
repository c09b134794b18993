import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Principal } from "../model/principal.js";
import type { BoundService } from "../service/bound_service.js";
import { toWireError as toServiceError } from "../service/error_table.js";
import { WireError } from "../service/wire_error.js";
import { type Caller, contextOf, routeServices } from "./connect_binding.js";
import type { OnUnexpected } from "./door.js";
import { answerJson } from "./json_answer.js";
import { neverAborted, toWireError } from "./wire_answer.js";

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;
export type ConnectHandler = (request: Request, response: Response) => void;

export interface ConnectHandlerOptions {
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
  readonly routes?: (request: Request, response: Response, principal: Principal | undefined) => boolean;
  identify(request: Request): Principal | undefined | Promise<Principal | undefined>;
  /**
   * Whether a malformed `Host` or `:authority` is refused. Over a Unix socket it says nothing, and clients of some
   * languages send the percent-encoded path of the socket, which no URL may hold.
   */
  readonly checksAuthority: boolean;
}

/**
 * The request listener of the HTTP door. It stands in for the library's own `connectNodeAdapter`, which lets a malformed
 * request throw out of the listener and so end the process, and writes to the console whenever a client cancels.
 */
export function connectHandler(options: ConnectHandlerOptions): ConnectHandler {
  const handlers = new Map(
    routeServices(options.services, options.onUnexpected).map((handler) => [handler.requestPath, handler]),
  );
  const serve = (request: Request, response: Response): void => {
    if (!options.checksAuthority) request.headers[authorityField(request)] = "localhost";
    else if (!hasAuthority(request)) {
      answerJson(response, 400, "bad_request", "the host of the request is missing or malformed");
      return;
    }
    const principal = options.identify(request);
    if (!(principal instanceof Promise)) {
      serveTo(principal, request, response);
      return;
    }
    const unavailable = (error: unknown): WireError =>
      toWireError(toServiceError(error), neverAborted, pathOf(request).slice(1), options.onUnexpected);
    void principal
      .catch(unavailable)
      .then((caller) => guard(request, response, () => serveTo(caller, request, response)));
  };
  const serveTo = (caller: Caller, request: Request, response: Response): void => {
    const path = pathOf(request);
    const handler = handlers.get(path);
    if (!handler) {
      if (caller instanceof WireError) answerJson(response, 503, "unavailable", caller.message);
      else if (options.routes?.(request, response, caller)) return;
      else answerJson(response, 404, "not_found", "there is nothing at this path");
      return;
    }
    const call = universalRequestFromNodeRequest(request, response, undefined, contextOf(caller));
    handler(call)
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((error: unknown) => {
        // The handler turns every failure of a call into an answer: this one is of the connection, or of the library.
        if (!call.signal.aborted) options.onUnexpected(error, path.slice(1));
        response.destroy();
      });
  };
  const guard = (request: Request, response: Response, work: () => void): void => {
    try {
      work();
    } catch (error) {
      // A stream that was reset before it was served has lost its socket, and the library trips over that.
      if (request.destroyed) return;
      options.onUnexpected(error, pathOf(request));
      answerJson(response, 500, "internal", "internal error");
    }
  };
  return (request, response) => guard(request, response, () => serve(request, response));
}

/** The path of the request, without its query. */
export function pathOf(request: Request): string {
  return (request.url ?? "").split("?", 1)[0] ?? "";
}

function authorityField(request: Request): ":authority" | "host" {
  return request.httpVersionMajor === 2 ? ":authority" : "host";
}

function hasAuthority(request: Request): boolean {
  const authority = request.headers[authorityField(request)] ?? request.headers.host;
  return typeof authority === "string" && URL.canParse(`http://${authority}`);
}
