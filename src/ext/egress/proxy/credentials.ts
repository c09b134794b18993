import { randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  answerTimeoutMs,
  authorize,
  CommandFailure,
  type DaemonSession,
  refusalOf,
  refusalText,
  type ShownRequestInit,
  showRequest,
} from "../../../cli/kit.js";
import {
  type AcquireTokenRequest,
  AcquireTokenRequestSchema,
  type ConsentRequired,
  RejectionOutcome,
  ShownRequestSchema,
  type Token,
} from "../../../gen/nexus/v1/token_pb.js";
import { BoundedMap } from "../../../runtime/runtime.js";
import { AwsChunks, StrategyError, strategyOfShape } from "../../../strategies/strategies.js";
import { isInSignedChunks, streamedBody } from "../injection/aws_body.js";
import { Mask } from "../injection/mask.js";
import {
  credentialOf,
  type Fields,
  filledBasic,
  passed,
  withoutPlaceholders,
} from "../injection/request_fields.js";
import type { Origin } from "./dial.js";
import { Problem } from "./problem.js";
import type { NamedRoute, Route } from "./routes.js";
import { authorityOf } from "./upstream.js";

/** As long as one call may wait; see `AcquireTokenRequest.wait`. */
const longestWaitMs = 60_000;

const { Aborted, Canceled, DeadlineExceeded, Internal, Unavailable, Unknown } = Code;
/** The daemon, its leader or the provider does not answer now. A connection that is reset amid a call is "aborted". */
const away = [Aborted, Canceled, DeadlineExceeded, Internal, Unavailable, Unknown];
const watchBookmarkMs = 30_000;
/** What a signer adds that is no secret, and stands in answers for other reasons. */
const ofSignature = /^x-amz-(date|content-sha256)$/;
/** A session has few credentials at a time, and the forms of each are many. */
const maxMasks = 8;
/** Of one session; a daemon has fewer providers in use. */
const maxMessages = 64;
/** Instead of a request that no rule goes by. */
const unshown = { method: "UNSHOWN", url: "https://unshown.invalid/" };

/** A request of the program for an API. The credential of some strategies is made of all of it. */
export interface OwnRequest {
  readonly origin: Origin;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Without those of the connection. */
  readonly headers: Readonly<Fields>;
  readonly body?: Uint8Array | undefined;
  /** It is sent once more, with another credential. */
  readonly repeats?: boolean;
}

/** What an API responded to a credential. */
export interface Refusal {
  readonly status: 401 | 403;
  readonly wwwAuthenticate: string;
  readonly dpopNonce: string;
}

/** The credentials of one user, asked for at each request: what was refreshed, consented to or revoked meanwhile counts at once. */
export class Credentials {
  /** By which the daemon knows the requests of one session. */
  readonly sessionId = randomBytes(9).toString("base64url");
  readonly #masks = new BoundedMap<string, Mask>(maxMasks);
  /** What asks for the token of a route without a request. */
  readonly #messages = new BoundedMap<string, AcquireTokenRequest>(maxMessages);

  constructor(
    private readonly deps: {
      readonly session: DaemonSession;
      readonly userId: string;
      /** Whether requests are held until the user has consented. */
      readonly waitsForConsent: boolean;
      /** A person must act: shown once for each link. */
      readonly onConsent: (providerName: string, link: string) => void;
      /** Whether a rule goes by requests to this provider now. Absent where that is not known: each request is shown. */
      readonly isJudged?: (providerName: string) => boolean;
    },
  ) {}

  /**
   * For a request that the rules of the daemon allow.
   *
   * @param wholeBody reads the body, where the rules go by it; undefined for one that is too long
   * @throws Problem with the link, where a person must act first
   */
  async token(
    route: Route,
    { origin, method, target, headers, body, repeats = false }: OwnRequest,
    wholeBody: () => Promise<Uint8Array | undefined>,
    signal = (): AbortSignal => new AbortController().signal,
  ): Promise<Token> {
    const { isJudged = () => true } = this.deps;
    const { traceparent } = headers;
    if (!repeats && !isJudged(route.providerName)) {
      const asking = asked(this.#token(route, this.#messageOf(route), traceparent, signal));
      await asking.catch(() => undefined);
      // A rule that came while the token was waited for has not seen the request.
      if (!isJudged(route.providerName)) return await asking;
    }
    const show = (bytes: Uint8Array | undefined): ShownRequestInit => {
      const shown = showRequest(method, `https://${authorityOf(origin)}${target}`, headers, bytes);
      return { ...shown, session: this.sessionId, repeats };
    };
    const ask = (bytes: Uint8Array | undefined) => {
      const { providerName, label } = route;
      const init = { providerName, userId: this.deps.userId, label, request: show(bytes) };
      return this.#token(route, init, traceparent, signal);
    };
    try {
      return await ask(body);
    } catch (error) {
      if (refusalOf(error) !== "show_body") throw problemOf(error);
    }
    const whole = await wholeBody();
    if (whole) return await asked(ask(whole));
    const detail = "a rule goes by the body of this request, which is too long to be read";
    throw new Problem(413, "body-too-long", detail);
  }

  /** Frozen, so that it is checked once: see `service_definition.ts`. */
  #messageOf({ providerName, label }: NamedRoute): AcquireTokenRequest {
    const key = `${providerName}\n${label}`;
    const known = this.#messages.get(key);
    if (known) return known;
    const request = create(ShownRequestSchema, { ...unshown, session: this.sessionId });
    const init = { providerName, userId: this.deps.userId, label, request };
    const message = create(AcquireTokenRequestSchema, init);
    for (const part of [request.headers, request, message.scopes, message]) Object.freeze(part);
    this.#messages.set(key, message);
    return message;
  }

  async #token(
    { providerName }: Route,
    request: MessageInitShape<typeof AcquireTokenRequestSchema>,
    traceparent: string | undefined,
    signal: () => AbortSignal,
  ): Promise<Token> {
    const { session, waitsForConsent } = this.deps;
    const headers = traceparent === undefined ? {} : { traceparent };
    for (let waitMs = 0; ; waitMs = longestWaitMs) {
      const wait = durationFromMs(waitMs);
      const { result } = await session.call(
        `read the token of ${providerName}`,
        session.daemon.tokens.acquireToken,
        waitMs === 0 ? request : { ...request, wait },
        {
          ...{ timeoutMs: waitMs + answerTimeoutMs, headers },
          // Made where somebody waits for it.
          get signal() {
            return signal();
          },
        },
      );
      if (result.case === "token") return result.value;
      if (result.case !== "consent") throw new Error("the daemon answered neither a token nor a link");
      this.#show(providerName, result.value);
      if (!waitsForConsent) throw consentNeeded(providerName, result.value);
    }
  }

  /**
   * @param headers as the program sent them
   * @param nonce that the API asked for
   * @returns what goes to the API, what signs the chunks of its body, and what hides the credential in its answer
   * @throws Problem
   */
  async put({ origin, method, target, headers, body }: OwnRequest, token: Token, route: Route, nonce = "") {
    const base = `https://${authorityOf(origin)}`;
    const bare = withoutPlaceholders(target);
    // What is compressed could not be masked.
    const own: Fields = { ...passed(headers, token, bare), "accept-encoding": "identity" };
    const request = { method, url: `${base}${bare}`, headers: own, body };
    const bodyHash = streamedBody(bare, own, token);
    const connection = { name: this.#name(route) };
    const put = await asked(authorize(request, token, this.deps.session, connection, nonce, bodyHash));
    const fields: Fields = {};
    for (const [name, value] of Object.entries(put.headers)) fields[name.toLowerCase()] = value;
    const added = Object.entries(fields).flatMap(([name, value]) =>
      own[name] === value || ofSignature.test(name) ? [] : [value],
    );
    const basic = filledBasic(headers["authorization"], token);
    return {
      path: put.url.slice(base.length),
      headers: { ...fields, ...basic, host: authorityOf(origin) },
      chunks: isInSignedChunks(own, token) ? await asked(chunksOf(fields, token)) : undefined,
      mask: this.#mask([credentialOf(token), ...added, ...added.map((value) => value.replace(/^\S+ /, ""))]),
    };
  }

  #mask(secrets: readonly string[]): Mask {
    const key = secrets.join("\n");
    const mask = this.#masks.get(key) ?? new Mask(secrets);
    this.#masks.set(key, mask);
    return mask;
  }

  /** @returns whether there is another credential to try, or the same once more with `nonce` */
  async refused(route: Route, { revision }: Token, refusal: Refusal): Promise<boolean> {
    const { session } = this.deps;
    try {
      const { outcome, consent } = await session.call(
        `report the refused token of ${route.providerName}`,
        session.daemon.tokens.reportRejectedToken,
        { name: this.#name(route), revision, ...refusal },
      );
      if (consent !== undefined) this.#show(route.providerName, consent);
      return outcome !== RejectionOutcome.SCOPES_MISSING;
    } catch (error) {
      if (error instanceof CommandFailure) return false;
      throw error;
    }
  }

  /** How the connections of these routes change. */
  async *watch(routes: readonly NamedRoute[], signal: AbortSignal) {
    const { daemon } = this.deps.session;
    const names = routes.map((route) => this.#name(route));
    const bookmarkInterval = durationFromMs(watchBookmarkMs);
    yield* daemon.tokens.watchTokens({ names, bookmarkInterval }, { signal });
  }

  #name({ providerName, label }: NamedRoute) {
    return { providerName, userId: this.deps.userId, label };
  }

  #show(providerName: string, consent: ConsentRequired): void {
    this.deps.onConsent(providerName, linkOf(consent));
  }
}

/** Whether the daemon refuses the caller itself. */
export function isRefused(error: unknown): boolean {
  return error instanceof ConnectError && [Code.PermissionDenied, Code.Unauthenticated].includes(error.code);
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw problemOf(error);
  }
}

/** Signs the chunks of a body once more. */
async function chunksOf(headers: Readonly<Fields>, { strategy, credentials }: Token): Promise<AwsChunks> {
  const value = strategyOfShape(strategy ?? {});
  if (value.kind !== "aws_sigv4") throw new Error("only AWS signs chunks");
  return await AwsChunks.of(headers, value, credentials);
}

function problemOf(error: unknown): unknown {
  if (!(error instanceof CommandFailure)) return error;
  if (error.cause instanceof StrategyError && error.cause.code === "invalid_request")
    return new Problem(400, "unsignable", error.message);
  const refusal = refusalOf(error);
  if (refusal === "unclear") return new Problem(400, "unclear-request", refusalText(error));
  if (refusal !== undefined) return new Problem(403, "denied-by-rule", refusalText(error));
  const { cause } = error;
  const isAway = !(cause instanceof ConnectError) || away.includes(cause.code);
  return new Problem(isAway ? 502 : 403, "no-credential", error.message);
}

function linkOf({ authUrl, verificationUri, userCode }: ConsentRequired): string {
  return authUrl === "" ? `${verificationUri} (code ${userCode})` : authUrl;
}

function consentNeeded(providerName: string, consent: ConsentRequired): Problem {
  const link = linkOf(consent);
  const detail = `a person must act before ${providerName} can be called (${consent.reason}): show them this link, and send the request again when they are done: ${link}`;
  return new Problem(403, "consent-required", detail, { provider: providerName, consent_url: link });
}
