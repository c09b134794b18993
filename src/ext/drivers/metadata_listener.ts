import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { Authenticate } from "../../domain/access/access.js";
import type { Principal } from "../../model/access/access.js";
import { parseNamePath } from "../../model/connections/connections.js";
import type { ListenAddress } from "../../model/model.js";
import type { Clock } from "../../runtime/runtime.js";
import {
  callerTrace,
  type HttpAnswer,
  HttpListener,
  type ListenerPlace,
  type OnUnexpected,
  peerOf,
  splitTarget,
  unauthenticatedMessage,
} from "../../server/kit.js";
import { type BoundService, type Call, callerOf, restError } from "../../service/service.js";
import { type Acquire, acquirer, MetadataRefusal } from "./acquire.js";
import { containerCredentials } from "./container_credentials.js";
import { googleMetadata, isOfGoogle } from "./google_metadata.js";
import type { MetadataSettings } from "./metadata_settings.js";

export interface MetadataOptions extends ListenerPlace, Pick<MetadataSettings, "google"> {
  readonly listen: ListenAddress;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly services: readonly BoundService[];
  readonly onUnexpected: OnUnexpected;
}

const ecsPrefix = "/ecs/";

/**
 * Where SDKs of clouds get credentials. Each goes through `AcquireToken`, so that restrictions, rules, limits, and the audit log hold.
 *
 * `GET /ecs/PROVIDER/USER[/LABEL]` is the container credentials provider of AWS SDKs. `AWS_CONTAINER_AUTHORIZATION_TOKEN` is an API key or
 * a JWT, alone or as `Bearer KEY`. `GET /computeMetadata/v1/...` is the metadata server of Google's SDKs, for the connection of the settings.
 */
export class MetadataListener extends HttpListener {
  constructor(options: MetadataOptions) {
    super({
      ...options,
      listener: "metadata",
      answer: (request) => answered(options, request),
      internalError: errorAnswer(500, "internal", "internal error"),
    });
  }
}

async function answered(options: MetadataOptions, request: IncomingMessage): Promise<HttpAnswer> {
  try {
    return await answer(options, request);
  } catch (error) {
    if (error instanceof MetadataRefusal) return errorAnswer(error.status, error.code, error.message);
    const { status, body } = restError(error);
    const { code, message } = body as { readonly code: string; readonly message: string };
    return errorAnswer(status, code, message);
  }
}

/** @throws MetadataRefusal; WireError */
async function answer(options: MetadataOptions, request: IncomingMessage): Promise<HttpAnswer> {
  const { clock, google } = options;
  refuseBrowsers(request);
  if (request.method !== "GET" && request.method !== "HEAD")
    throw new MetadataRefusal(405, "method_not_allowed", "the metadata listener takes GET and HEAD");
  const target = splitTarget(request.url);
  if (target?.path.startsWith(ecsPrefix)) {
    const name = parseNamePath(target.path.slice(ecsPrefix.length).split("/"));
    if (!name)
      throw new MetadataRefusal(
        404,
        "not_found",
        "the path must be /ecs/PROVIDER/USER or /ecs/PROVIDER/USER/LABEL",
      );
    const call = await callOf(options, request, tokenOf(request.headers.authorization));
    return jsonAnswer(200, await containerCredentials(acquirer(call), name, clock.nowMs()));
  }
  if (target && isOfGoogle(target.path)) {
    if (!google)
      throw new MetadataRefusal(404, "not_found", "set NEXUS_METADATA_GOOGLE to serve Google's SDKs");
    if (request.headers["metadata-flavor"] !== "Google")
      throw new MetadataRefusal(
        403,
        "permission_denied",
        "the request needs the header Metadata-Flavor: Google",
      );
    const acquire: Acquire = async (name, scopes) => {
      const key = await readFile(google.keyFile, "utf8").catch((error: NodeJS.ErrnoException) => {
        const message = `NEXUS_METADATA_GOOGLE_KEY_FILE cannot be read: ${error.code}`;
        throw new MetadataRefusal(503, "unavailable", message);
      });
      return await acquirer(await callOf(options, request, key.trim()))(name, scopes);
    };
    return await googleMetadata(acquire, google.name, target, clock.nowMs());
  }
  throw new MetadataRefusal(
    404,
    "not_found",
    "the metadata listener serves /ecs/PROVIDER/USER, and /computeMetadata/v1/ where NEXUS_METADATA_GOOGLE is set",
  );
}

/**
 * A page in a browser reaches addresses of this machine: by a name of its own that leads there (DNS rebinding), or by the address. What it
 * sends shows that: another name in `Host`, or what browsers add. Google's metadata server refuses what a proxy passed on; so does this one.
 */
function refuseBrowsers({ headers }: IncomingMessage): void {
  const host = (headers.host ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0 && !["localhost", "metadata.google.internal", "metadata"].includes(host.toLowerCase()))
    throw new MetadataRefusal(403, "permission_denied", "Host must be an address of the metadata listener");
  const added = ["origin", "sec-fetch-site", "x-forwarded-for"].find((name) => headers[name] !== undefined);
  if (added !== undefined)
    throw new MetadataRefusal(
      403,
      "permission_denied",
      `a request with ${added} comes from a browser or a proxy`,
    );
}

/** The value of AWS_CONTAINER_AUTHORIZATION_TOKEN is sent as it is. */
function tokenOf(authorization: string | undefined): string | undefined {
  return authorization?.replace(/^bearer +/i, "").trim();
}

/** @throws MetadataRefusal for a credential that is not valid; WireError after too many */
async function callOf(
  { authenticate, listen, services }: MetadataOptions,
  { headers, socket }: IncomingMessage,
  token: string | undefined,
): Promise<Call> {
  const origin = listen.kind === "unix" ? "unix" : (socket.remoteAddress ?? "");
  const presented = { socket: listen.kind, token, origin, peer: peerOf(socket) };
  const principal: Principal | undefined = await authenticate(presented);
  if (!principal) throw new MetadataRefusal(401, "unauthenticated", unauthenticatedMessage(token));
  const { signal } = new AbortController();
  return callerOf(services)({
    principal,
    signal,
    trace: callerTrace(headers["traceparent"], headers["tracestate"]),
  });
}

function errorAnswer(status: number, code: string, message: string): HttpAnswer {
  return jsonAnswer(status, { code, message });
}

function jsonAnswer(status: number, body: object): HttpAnswer {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return { status, headers, body: JSON.stringify(body) };
}
