import { ServerResponse, STATUS_CODES } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import {
  Aborted,
  formatDuration,
  InvalidArgument,
  isRuleRefusal,
  NexusError,
  ResourceExhausted,
  Unavailable,
} from "../../../model/model.js";
import { StrategyError } from "../../../strategies/strategies.js";

/** An answer of the proxy itself (RFC 9457): what failed, and what to do next. Holds no secret. */
export class ProblemDetails extends Error {
  override readonly name: string = "Problem";

  constructor(
    readonly status: number,
    /** In kebab case; `type` is `urn:nexusd:egress:` and it. */
    readonly kind: string,
    readonly detail: string,
    /** Members beside those of the RFC, as `consent_url`. */
    readonly members: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
  }

  get body(): string {
    const { status, kind, detail, members } = this;
    const title = STATUS_CODES[status] ?? "refused";
    return `${JSON.stringify({ type: `urn:nexusd:egress:${kind}`, title, status, detail, ...members })}\n`;
  }

  /** For a socket that is written to by hand. The connection ends. */
  get message11(): string {
    const { status, body } = this;
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      "content-type: application/problem+json",
      `content-length: ${Buffer.byteLength(body)}`,
      ...(status === 407 ? ['proxy-authenticate: Basic realm="nexusd"'] : []),
      "connection: close",
    ];
    return `${head.join("\r\n")}\r\n\r\n${body}`;
  }

  /** Where nothing was answered yet; an answer that has begun is cut off. */
  answer(response: Outgoing): void {
    const { status, body } = this;
    if (response.headersSent) return void cutOff(response);
    if (status === 407) (response as ServerResponse).setHeader("proxy-authenticate", 'Basic realm="nexusd"');
    (response as ServerResponse).writeHead(status, { "content-type": "application/problem+json" }).end(body);
  }
}

/** The answer to a request that gets no credential; undefined for what is no refusal. @param providerName whose credential it is */
export function problemOf(error: unknown, providerName: string): ProblemDetails | undefined {
  if (error instanceof ProblemDetails) return error;
  if (error instanceof StrategyError) {
    const detail = `the credential cannot be put into the request: ${error.message}`;
    const isUnsignable = error.code === "invalid_request";
    return isUnsignable
      ? new ProblemDetails(400, "unsignable", detail)
      : new ProblemDetails(502, "no-credential", detail);
  }
  if (!(error instanceof NexusError)) return undefined;
  if (error instanceof InvalidArgument) return new ProblemDetails(400, "unclear-request", error.message);
  if (isRuleRefusal(error)) return new ProblemDetails(403, "denied-by-rule", error.message);
  if (error instanceof ResourceExhausted) return new ProblemDetails(429, "uses-exhausted", error.message);
  const isAway = error instanceof Unavailable || error instanceof Aborted;
  const { retryAfterMs = undefined } = error instanceof Unavailable ? error : {};
  const next = retryAfterMs === undefined ? "" : `: try again in ${formatDuration(retryAfterMs)}`;
  const detail = `cannot read the token of ${providerName}: ${error.message}${next}`;
  return new ProblemDetails(isAway ? 502 : 403, "no-credential", detail);
}

/** An answer of either version of HTTP. */
export type Outgoing = ServerResponse | Http2ServerResponse;

/** Ends an answer so that nobody takes it for whole: a stream of HTTP/2 that is only destroyed has ended in order. */
export function cutOff(response: Outgoing): void {
  if (response instanceof ServerResponse) response.destroy();
  else response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}
