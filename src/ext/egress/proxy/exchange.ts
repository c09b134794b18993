import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { apiResponse, type PutCredential, type UsableCredential } from "../../../domain/use/use.js";
import { NexusError, traceIdOf } from "../../../model/model.js";
import { type AuthorityFiles, reachWords } from "../../../outbound/outbound.js";
import type { Authority } from "../../../server/kit.js";
import { StrategyError } from "../../../strategies/strategies.js";
import type { Mask } from "../injection/mask.js";
import {
  type HeaderFields,
  ofConnection,
  ofEnd,
  streamedBody,
  trailerNames,
  withoutPlaceholders,
} from "../injection/request_fields.js";
import { type BodyBudget, pump, StreamedBody } from "./body.js";
import type { SessionCredentials } from "./credentials.js";
import type { Origin, OwnTls } from "./dial.js";
import type { OpenUses } from "./open_uses.js";
import { cutOff, type Outgoing, ProblemDetails, problemOf } from "./problem.js";
import type { Allowance, Incoming, ProviderRoute } from "./routes.js";
import { authorityOf, over, type Upstream, type UpstreamAnswer } from "./upstream.js";

/** Of a body that a credential is made of: an HMAC, or an AWS signature where the program declares no hash of its own. */
const maxSignedBytes = 8 * 1024 * 1024;

/** Of answers before the answer; an API could send them without end. */
const maxHints = 8;

/** What was done for a session; nothing of it may throw. */
export interface EgressRecord {
  /** @param route undefined where no credential was put in */
  answered(route: ProviderRoute | undefined, status: number, trace: string | undefined): void;
  /** @param kind that of the problem, in kebab case */
  refused(kind: string): void;
}

export interface SessionDeps extends Allowance {
  readonly authority: Authority;
  readonly credentials: SessionCredentials;
  readonly upstream: Upstream;
  readonly authorities: AuthorityFiles;
  readonly uses: OpenUses;
  readonly bodies: BodyBudget;
  readonly record?: EgressRecord | undefined;
}

/** What an API answered, and what hides the credential in it. */
type MaskedAnswer = UpstreamAnswer & { readonly mask?: Mask };

interface ExchangeParts extends SessionDeps {
  readonly origin: Origin;
  /** Undefined where no profile is for the path: the request goes on as it is. */
  readonly route: ProviderRoute | undefined;
}

/** One request to an API with the credential put in, and the answer as it comes. */
export class Exchange {
  /** Made where somebody waits for it. */
  #stop: AbortController | undefined;
  readonly #body: StreamedBody;
  /** Of the program, for the API. */
  readonly #headers: HeaderFields;
  /** Ends what was sent. */
  #end: (() => void) | undefined;
  #isOver = false;
  #hints = 0;

  constructor(
    private readonly parts: ExchangeParts,
    private readonly request: Incoming,
    private readonly response: Outgoing,
  ) {
    this.#body = StreamedBody.of(request, parts.bodies);
    this.#headers = ofEnd(request.headers);
  }

  /** @throws Problem before anything is answered */
  async run(): Promise<void> {
    this.response.once("close", () => this.#finish());
    const { route, record } = this.parts;
    const answer = route ? await this.#answer(route) : await this.#plain();
    this.#body.release();
    record?.answered(route, answer.status, traceOf(this.request));
    await this.#passOn(answer);
  }

  #finish(): void {
    this.#isOver = true;
    this.#body.release();
    this.#end?.();
    if (!this.response.headersSent) this.#stop?.abort(over);
  }

  async #plain(): Promise<UpstreamAnswer> {
    const host = authorityOf(this.parts.origin);
    return await this.#reach(this.request.url ?? "/", { ...this.#headers, host });
  }

  /** @throws Problem */
  async #answer(route: ProviderRoute): Promise<MaskedAnswer> {
    const { credentials } = this.parts;
    const own = this.#own(this.#body.isEmpty ? nothing : undefined);
    const exchange = credentials.exchange<MaskedAnswer>(route, own, {
      wholeBody: () => this.#body.whole(maxSignedBytes),
      signal: () => this.#signal(),
      onCredential: () => this.#begin(route),
      send: (credential, put) => this.#send(route, credential, put),
      responseOf: ({ status, headers }) => apiResponse(status, headers),
      dismiss: ({ body }) => body.destroy(),
      canRepeat: () => this.#body.canBeSentAgain,
    });
    try {
      return await exchange.run();
    } catch (error) {
      throw problemOf(error, route.providerName) ?? error;
    }
  }

  /** The request ends when its credential is worth nothing any more: what is under way ends as a connection that broke off. */
  #begin(route: ProviderRoute): void {
    if (this.#isOver) return;
    const release = this.parts.uses.begin(route, () => {
      cutOff(this.response);
      this.#finish();
    });
    this.response.once("close", release);
  }

  #own(body: Uint8Array | undefined) {
    const { method = "GET", url: target = "/" } = this.request;
    return { origin: this.parts.origin, method, target, headers: this.#headers, body };
  }

  #signal(): AbortSignal {
    this.#stop ??= new AbortController();
    if (this.#isOver) this.#stop.abort(over);
    return this.#stop.signal;
  }

  async #send(route: ProviderRoute, credential: UsableCredential, put: PutCredential): Promise<MaskedAnswer> {
    const { url: target = "/" } = this.request;
    const { strategy } = credential;
    const isMadeOfBody = streamedBody(withoutPlaceholders(target), this.#headers, strategy) === undefined;
    const whole = isMadeOfBody ? await this.#body.whole(maxSignedBytes) : undefined;
    if (isMadeOfBody && whole === undefined) {
      const detail = `the credential of ${route.providerName} is made of the body, which may have ${maxSignedBytes} bytes`;
      throw new ProblemDetails(413, "body-too-long", detail);
    }
    const sent = await this.parts.credentials.put(this.#own(whole), credential, put);
    const { path, headers, mask, chunks } = sent;
    this.#body.through = chunks;
    const tls = await ownTls(this.parts.authorities, route, credential);
    const answer = await this.#reach(path, headers, mask, tls);
    return { ...answer, headers: mask.fields(answer.headers), mask };
  }

  /** Names what the program will need, while the API prepares its answer (RFC 8297). */
  #hint({ link }: IncomingHttpHeaders, mask: Mask | undefined): void {
    const { response, request } = this;
    const isUnknown = request.httpVersion === "1.0" || response.headersSent || this.#isOver;
    if (link === undefined || isUnknown || this.#hints++ >= maxHints) return;
    try {
      const links = [link].flat().map((one) => mask?.line(one) ?? one);
      (response as ServerResponse).writeEarlyHints({ link: links });
    } catch {
      // Node takes fewer forms than there are; the answer itself has them too.
    }
  }

  async #reach(path: string, headers: HeaderFields, mask?: Mask, tls?: OwnTls): Promise<UpstreamAnswer> {
    const { upstream, origin } = this.parts;
    const { method = "GET", httpVersionMajor } = this.request;
    const onSent = (end: () => void): void => {
      this.#end = end;
      if (this.#isOver) end();
    };
    const isHttp2 = httpVersionMajor === 2;
    const isOver = (): boolean => this.#isOver;
    const onEarlyHints = (fields: IncomingHttpHeaders): void => this.#hint(fields, mask);
    const going = { isHttp2, isOver, onSent, onEarlyHints };
    const sent = { method, path, headers, body: this.#body, tls, ...going };
    this.#body.trailerNames = trailerNames(this.request.headers.trailer, headers);
    try {
      return await upstream.send(origin, sent);
    } catch (error) {
      const { fault } = this.#body;
      if (fault instanceof StrategyError) throw new ProblemDetails(400, "unsignable", fault.message);
      const { code } = error as NodeJS.ErrnoException;
      throw new ProblemDetails(502, "api-unreachable", reachWords(origin.host, code));
    }
  }

  async #passOn({ status, headers, body, isWhole, trailers, mask }: MaskedAnswer): Promise<void> {
    const response = this.response as ServerResponse;
    const fields: OutgoingHttpHeaders = {};
    for (const name in headers) if (!ofConnection.test(name)) fields[name] = headers[name];
    const isHttp1 = this.request.httpVersionMajor === 1;
    if (isHttp1 && headers["trailer"] !== undefined) fields["trailer"] = headers["trailer"];
    if (isWhole) {
      response.statusCode = status;
      for (const [name, value = ""] of Object.entries(fields)) response.setHeader(name, value);
      return void response.end();
    }
    if (body.destroyed && !body.readableEnded) throw over;
    response.writeHead(status, fields);
    // With what has arrived of the body already, and no later than that.
    if (isHttp1) atOnce(response.socket);
    response.flushHeaders();
    pump(body, response, mask?.filter(headers), () => {
      const late = trailers();
      if (Object.keys(late).length > 0) response.addTrailers(mask?.fields(late) ?? late);
    });
    await new Promise<void>((resolve, reject) => {
      body.on("error", reject).once("close", () => body.readableEnded || reject(over));
      response.on("error", reject).once("close", () => resolve());
    });
  }
}

const nothing = new Uint8Array();

/** @returns undefined where TLS with the API is that with any host @throws Problem */
export async function ownTls(
  authorities: AuthorityFiles,
  { apiCaFile, providerName }: ProviderRoute,
  { certificate: clientCertificate }: UsableCredential,
): Promise<OwnTls | undefined> {
  if (apiCaFile === "" && clientCertificate === undefined) return undefined;
  try {
    const authority = await authorities.read(apiCaFile);
    return { clientCertificate, authority, id: `${clientCertificate?.id ?? ""} ${authority?.id ?? ""}` };
  } catch (error) {
    if (!(error instanceof NexusError)) throw error;
    throw new ProblemDetails(502, "api-unreachable", `api_ca_file of ${providerName}: ${error.message}`);
  }
}

/** What is written in this turn of the event loop goes out together. */
function atOnce(socket: Socket | null): void {
  socket?.cork();
  setImmediate(() => socket?.uncork());
}

/** The id of the trace that the program sent (W3C Trace Context). */
export function traceOf({ headers }: Incoming): string | undefined {
  return traceIdOf(String(headers["traceparent"] ?? ""));
}
