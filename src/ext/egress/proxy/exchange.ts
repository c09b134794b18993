import type { ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Token } from "../../../gen/nexus/v1/token_pb.js";
import { refusesCredential } from "../../../model/credentials/refusal.js";
import { traceIdOf } from "../../../model/tracing.js";
import { ofConnection, ofEnd } from "../injection/request_fields.js";
import type { Refusal } from "./credentials.js";
import type { Origin } from "./dial.js";
import type { Incoming } from "./judge.js";
import { cutOff, type Outgoing, Problem } from "./problem.js";
import { RequestBody } from "./request_body.js";
import type { Route } from "./routes.js";
import type { SessionDeps } from "./session_deps.js";
import { authorityOf, type Fields, type UpstreamAnswer, type UpstreamRequest } from "./upstream.js";

/** Of a body that a credential is made of (an AWS signature, an HMAC). */
const maxSignedBytes = 8 * 1024 * 1024;

/** Made once: a stack is dear. */
const over = new Error("the request is over");

/** One request to an API with the credential put in, and the answer as it comes. */
export class Exchange {
  readonly #stop = new AbortController();

  constructor(
    private readonly parts: Omit<SessionDeps, "network"> & {
      readonly origin: Origin;
      /** Undefined where no profile is for the path: the request goes on as it is. */
      readonly route: Route | undefined;
    },
    private readonly request: Incoming,
    private readonly response: Outgoing,
  ) {}

  /** @throws Problem before anything is answered */
  async run(): Promise<void> {
    this.response.once("close", () => this.#stop.abort(over));
    const { route, record } = this.parts;
    const body = new RequestBody(this.request, isWithoutBody(this.request));
    const answer = route ? await this.#answer(body, route) : await this.#plain(body);
    record?.answered(route, answer.status, traceOf(this.request));
    await this.#passOn(answer);
  }

  /** The credential is worth nothing any more: what is under way ends as a connection that broke off. */
  #cut(): void {
    cutOff(this.response);
    this.#stop.abort(over);
  }

  async #plain(body: RequestBody): Promise<UpstreamAnswer> {
    const { method = "GET", url: path = "/", headers } = this.request;
    const own = { ...ofEnd(headers as Fields), host: authorityOf(this.parts.origin) };
    return await this.#reach({ method, path, headers: own, body: body.open() });
  }

  /** A credential that the API refuses is reported, and the request sent once more with the next one. */
  async #answer(body: RequestBody, route: Route): Promise<UpstreamAnswer> {
    const { credentials, uses } = this.parts;
    const token = await this.#token(body, route);
    if (!this.#stop.signal.aborted) {
      const release = uses.begin(route, () => this.#cut());
      this.#stop.signal.addEventListener("abort", release);
    }
    const first = await this.#send(body, route, token);
    const refusal = refusalIn(first);
    if (refusal === undefined) return first;
    const isRetry = await credentials.refused(route, token, refusal);
    if (!isRetry || !body.canBeSentAgain) return first;
    const next = await this.#token(body, route, true);
    first.body.destroy();
    return await this.#send(body, route, next, refusal.dpopNonce);
  }

  #token(body: RequestBody, route: Route, repeats = false): Promise<Token> {
    const { credentials, origin } = this.parts;
    const { method = "GET", url: target = "/", headers } = this.request;
    const own = { origin, method, target, headers: ofEnd(headers as Fields), repeats };
    const shown = body.isEmpty ? { ...own, body: new Uint8Array() } : own;
    return credentials.token(route, shown, () => body.whole(maxSignedBytes), this.#stop.signal);
  }

  async #send(body: RequestBody, route: Route, token: Token, nonce = ""): Promise<UpstreamAnswer> {
    const { credentials, origin } = this.parts;
    const { method = "GET", url: target = "/" } = this.request;
    const isSigned = ["hmacPayload", "awsSigv4"].includes(token.strategy?.kind.case ?? "");
    const whole = isSigned ? await body.whole(maxSignedBytes) : undefined;
    if (isSigned && whole === undefined)
      throw new Problem(
        413,
        "body-too-long",
        `the credential of ${route.providerName} is made of the body, which may have ${maxSignedBytes} bytes`,
      );
    const headers = this.request.headers as Fields;
    const own = { origin, method, target, headers, body: whole };
    const { mask, ...put } = await credentials.put(own, token, route, nonce);
    return mask.answer(await this.#reach({ method, ...put, body: whole ?? body.open() }));
  }

  async #reach(request: Omit<UpstreamRequest, "signal">): Promise<UpstreamAnswer> {
    const { upstream, origin } = this.parts;
    try {
      return await upstream.send(origin, { ...request, signal: this.#stop.signal });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new Problem(502, "api-unreachable", `${origin.host} cannot be reached: ${code ?? message}`);
    }
  }

  async #passOn({ status, headers, body, isWhole, trailers }: UpstreamAnswer): Promise<void> {
    const response = this.response as ServerResponse;
    const fields = Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.test(name)));
    if (isWhole) {
      response.statusCode = status;
      for (const [name, value = ""] of Object.entries(fields)) response.setHeader(name, value);
      return void response.end();
    }
    if (body.destroyed && !body.readableEnded) throw over;
    const isHttp1 = this.request.httpVersionMajor === 1;
    response.writeHead(status, {
      ...fields,
      ...(isHttp1 && "trailer" in headers && { trailer: headers["trailer"] }),
    });
    // With what has arrived of the body already, and no later than that.
    if (isHttp1) atOnce(response.socket);
    response.flushHeaders();
    body.once("end", () => {
      const late = trailers();
      if (Object.keys(late).length > 0) response.addTrailers(late);
    });
    await piped(body, response);
  }
}

/** What is written in this turn of the event loop goes out together. */
function atOnce(socket: Socket | null): void {
  socket?.cork();
  setImmediate(() => socket?.uncork());
}

/** `pipeline` makes and aborts an AbortController each time, which is a tenth of what a small request costs. */
function piped(body: Readable, response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    body.on("error", reject).once("close", () => body.readableEnded || reject(over));
    response.on("error", reject).once("close", () => {
      if (!body.readableEnded) body.destroy();
      resolve();
    });
    body.pipe(response);
  });
}

function isWithoutBody(request: Incoming): boolean {
  if (request.httpVersionMajor === 2) return (request as Http2ServerRequest).stream.endAfterHeaders;
  return (
    request.headers["transfer-encoding"] === undefined && Number(request.headers["content-length"] ?? 0) === 0
  );
}

/** Undefined where the API does not refuse the credential. */
function refusalIn({ status, headers }: UpstreamAnswer): Refusal | undefined {
  const challenge = headers["www-authenticate"];
  const wwwAuthenticate = (Array.isArray(challenge) ? challenge.join(", ") : String(challenge ?? "")).slice(
    0,
    8_192,
  );
  if (!refusesCredential(status, wwwAuthenticate)) return undefined;
  return { status, wwwAuthenticate, dpopNonce: String(headers["dpop-nonce"] ?? "") };
}

/** The id of the trace that the program sent (W3C Trace Context). */
export function traceOf({ headers }: Incoming): string | undefined {
  return traceIdOf(String(headers["traceparent"] ?? ""));
}
