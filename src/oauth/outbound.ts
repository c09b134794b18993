import { isLoopbackHost } from "../model/provider_profile.js";
import { SystemClock } from "../runtime/clock.js";

/** A request to a provider. Its shape is what `oauth4webapi` hands to a custom fetch. */
export interface OutboundRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: URLSearchParams | string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Answers with the whole body at hand, or throws `OutboundError`. A status is not judged, except that 3xx is refused. */
export type OutboundFetch = (url: string, request: OutboundRequest) => Promise<Response>;

export interface OutboundOptions {
  /** From the call to the last byte of the body. Default 10 000: no provider takes longer on a good day. */
  readonly timeoutMs?: number;
  /** Size of a body after content decoding. Default 1 MiB: the largest known discovery documents are 20 KiB. */
  readonly maxBytes?: number;
}

/**
 * `before_send` is certain: the provider cannot have acted on the request. `after_send` is everything else, so it
 * includes what is unknown.
 */
export type OutboundPhase = "before_send" | "after_send";

export type OutboundReason = "forbidden_url" | "timeout" | "aborted" | "network" | "redirect" | "too_large";

/** No usable answer. Holds neither path, query nor bodies, and no cause: those carry codes and tokens. */
export class OutboundError extends Error {
  constructor(
    readonly reason: OutboundReason,
    readonly phase: OutboundPhase,
    readonly host: string,
    /** The system's word for a `network` fault, such as `ECONNREFUSED`. */
    readonly code?: string,
    /** Status of an answer that came but is of no use: a redirect, or one whose body broke off. */
    readonly httpStatus?: number,
  ) {
    super(`request to ${host} failed: ${reason}${code === undefined ? "" : ` ${code}`} (${phase})`);
    this.name = "OutboundError";
  }
}

/** The only way out to a provider: https, or plain http to this machine; no redirects, no cookies, no credentials in URLs. */
export function createOutboundFetch(options: OutboundOptions = {}): OutboundFetch {
  const { timeoutMs = 10_000, maxBytes = 1024 * 1024 } = options;
  const clock = new SystemClock();
  return async (text, request) => {
    const url = permittedUrl(text);
    const stop = new AbortController();
    let status: number | undefined;
    let reason: "timeout" | "aborted" | undefined;
    const end = (why: "timeout" | "aborted"): void => {
      reason ??= why;
      stop.abort();
    };
    const onAbort = (): void => end("aborted");
    const timer = clock.setTimer(timeoutMs, () => end("timeout"));
    if (request.signal?.aborted) onAbort();
    request.signal?.addEventListener("abort", onAbort, { once: true });

    const body = request.body === undefined ? undefined : new WatchedBody(request.body.toString());
    try {
      const response = await fetch(url, requestInit(request, body, stop.signal));
      status = response.status;
      if (status >= 300 && status < 400) {
        throw new OutboundError("redirect", "after_send", url.hostname, undefined, status);
      }
      return await buffered(response, maxBytes, url.hostname);
    } catch (fault) {
      if (fault instanceof OutboundError) throw fault;
      const code = systemCode(fault);
      const sent = body === undefined ? !isConnectFault(code) : body.sent;
      const phase = sent ? "after_send" : "before_send";
      if (reason !== undefined) throw new OutboundError(reason, phase, url.hostname, undefined, status);
      throw new OutboundError("network", phase, url.hostname, code, status);
    } finally {
      stop.abort();
      timer.cancel();
      request.signal?.removeEventListener("abort", onAbort);
    }
  };
}

function permittedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const secure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === undefined || !secure || url.username !== "" || url.password !== "") {
    throw new OutboundError("forbidden_url", "before_send", url?.hostname ?? "(not a URL)");
  }
  return url;
}

/**
 * `connection: close`, because a pooled connection that the provider drops at the same instant leaves the outcome of a
 * refresh grant unknown. `identity`, because a fault of compression would lose a rotated token set.
 */
function requestInit(
  request: OutboundRequest,
  body: WatchedBody | undefined,
  signal: AbortSignal,
): RequestInit {
  const headers = new Headers(request.headers);
  headers.set("accept-encoding", "identity");
  headers.set("connection", "close");
  headers.set("user-agent", "nexusd");
  const init: RequestInit = {
    method: request.method,
    headers,
    redirect: "manual",
    credentials: "omit",
    signal,
  };
  if (body === undefined) return init;
  headers.set("content-length", String(body.byteLength));
  return { ...init, body: body.stream, duplex: "half" };
}

/**
 * A request body in two pieces. As long as the last one has not been asked for, the request cannot have arrived whole.
 * Fetch asks for the first at once, for the second when the connection (TLS included) stands.
 */
class WatchedBody {
  readonly byteLength: number;
  readonly stream: ReadableStream<Uint8Array>;
  sent = false;

  constructor(text: string) {
    const bytes = new TextEncoder().encode(text);
    this.byteLength = bytes.byteLength;
    const pieces = bytes.byteLength > 1 ? [bytes.subarray(0, 1), bytes.subarray(1)] : [bytes];
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          const piece = pieces.shift();
          if (piece !== undefined && piece.byteLength > 0) controller.enqueue(piece);
          if (pieces.length > 0) return;
          this.sent = true;
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

async function buffered(response: Response, maxBytes: number, host: string): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let byteLength = 0;
  for await (const chunk of response.body ?? []) {
    byteLength += chunk.byteLength;
    if (byteLength > maxBytes)
      throw new OutboundError("too_large", "after_send", host, undefined, response.status);
    chunks.push(chunk);
  }
  const headers = new Headers(response.headers);
  for (const name of ["content-encoding", "content-length", "set-cookie"]) headers.delete(name);
  const body = byteLength === 0 ? null : Buffer.concat(chunks);
  return new Response(body, { status: response.status, headers });
}

function systemCode(fault: unknown): string | undefined {
  for (let each = fault, depth = 0; each instanceof Error && depth < 4; each = each.cause, depth++) {
    if ("code" in each && typeof each.code === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(each.code))
      return each.code;
  }
  return undefined;
}

/** Only for requests without a body, which are safe to repeat: a guess by name is good enough for a log. */
function isConnectFault(code: string | undefined): boolean {
  return (
    code !== undefined &&
    /^(E(CONNREFUSED|NOTFOUND|AI_|HOST|NET|PROTO)|UND_ERR_CONNECT|CERT_|ERR_(SSL|TLS)|UNABLE_TO_|\w*SELF_SIGNED)/.test(
      code,
    )
  );
}
