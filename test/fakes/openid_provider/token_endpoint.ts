import { IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Provider } from "oidc-provider";
import { unavailable } from "./page.js";
import { readAll } from "./request_body.js";

export interface TokenRequest {
  readonly grantType: string;
  readonly clientId: string | undefined;
  /** HTTP status of the answer; 0 while there is none, for ever if the connection ended first. */
  readonly status: number;
  /** Milliseconds since the epoch at which the request had arrived whole. */
  readonly at: number;
}

/**
 * `503`: every endpoint answers 503 with a page of HTML. `hang`: the token endpoint reads the request, does nothing
 * with it and never answers. `refuse`: nobody listens on the port and open connections are cut.
 */
export type Outage = "none" | "503" | "hang" | "refuse";

/** Keeps the record of token requests, and holds back the engine's answers if told to. */
export class TokenEndpoint {
  readonly requests: { grantType: string; clientId: string | undefined; status: number; at: number }[] = [];
  delayMs = 0;
  readonly answer: ReturnType<Provider["callback"]>;
  #gate: Promise<void> | undefined;
  #waiting: { count: number; wake: () => void }[] = [];

  constructor(engine: Provider) {
    engine.use(async (ctx, next) => {
      if (ctx.path !== "/token" || ctx.method !== "POST") return next();
      await next();
      if (this.delayMs > 0) await sleep(this.delayMs, undefined, { ref: false });
      await this.#gate;
    });
    this.answer = engine.callback();
  }

  async handle(request: IncomingMessage, response: ServerResponse, outage: Outage): Promise<void> {
    const body = await readAll(request);
    const entry = { ...describe(request, body), status: 0, at: Date.now() };
    this.requests.push(entry);
    response.once("finish", () => {
      entry.status = response.statusCode;
    });
    for (const { count, wake } of this.#waiting) if (count <= this.requests.length) wake();
    this.#waiting = this.#waiting.filter(({ count }) => count > this.requests.length);
    if (outage === "hang") return;
    if (outage === "503") return unavailable(response);
    this.answer(replay(request, body), response);
  }

  hold(): () => void {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = gate;
    return () => {
      if (this.#gate === gate) this.#gate = undefined;
      open();
    };
  }

  waitFor(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve();
    return new Promise((wake) => {
      this.#waiting.push({ count, wake });
    });
  }
}

/** Grant type and client of a token request, from its body or its Basic credentials (RFC 6749, 2.3.1). */
function describe(
  request: IncomingMessage,
  body: Buffer,
): { grantType: string; clientId: string | undefined } {
  const fields = new URLSearchParams(body.toString("utf8"));
  const grantType = fields.get("grant_type") ?? "";
  const basic = /^Basic +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (basic === undefined) return { grantType, clientId: fields.get("client_id") ?? undefined };
  const encodedId = Buffer.from(basic, "base64").toString("utf8").split(":", 1)[0] ?? "";
  return { grantType, clientId: new URLSearchParams(`id=${encodedId}`).get("id") ?? undefined };
}

/** The same request with its body still to be read. */
function replay(request: IncomingMessage, body: Buffer): IncomingMessage {
  const copy = new IncomingMessage(request.socket);
  copy.method = request.method;
  copy.url = request.url;
  copy.httpVersion = request.httpVersion;
  copy.httpVersionMajor = request.httpVersionMajor;
  copy.httpVersionMinor = request.httpVersionMinor;
  copy.rawHeaders = request.rawHeaders;
  copy.headers = request.headers;
  copy.complete = true;
  if (body.length > 0) copy.push(body);
  copy.push(null);
  return copy;
}
