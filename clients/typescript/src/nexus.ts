import { setMaxListeners } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import { type AcquireOptions, acquire, type OnConsent } from "./acquire.js";
import { daemonAddress, type NexusOptions } from "./daemon_address.js";
import { DaemonConnection } from "./daemon_connection.js";
import { consentErrorOf, millisecondsOf, nexusErrorOf } from "./error_mapping.js";
import { DeadlineExceeded, NexusError } from "./errors.js";
import { type Fetch, fetchWith } from "./fetch.js";
import {
  RejectionOutcome,
  type ReportRejectedTokenRequestSchema,
  type ReportRejectedTokenResponse,
} from "./gen/nexus/v1/token_pb.js";
import { interceptorWith } from "./interceptor.js";
import type { ProvedRequest } from "./rejection.js";
import { SharedCalls } from "./shared_calls.js";
import { type Clock, delay, SystemClock } from "./strategies/clock.js";
import { type Limits, limited } from "./time_limit.js";
import { Token } from "./token.js";
import { TokenCache } from "./token_cache.js";
import { type TokenName, tokenName } from "./token_name.js";
import { TokenWatch } from "./token_watch.js";
import { isAway, isOfTheConnection } from "./unreachable.js";

/** Longer than a refresh at a slow provider, which a call may wait for. */
const callTimeoutMs = 60_000;
/** Between two attempts to reach a daemon that restarts. */
const reconnectMs = 100;
/** How long the next revision may take to come by the stream before it is asked for. */
const arrivalMs = 5_000;
/** The same where no stream carries the name, or not yet. */
const openingMs = 300;

/** Whose token, and what it must be. */
export interface TokenOptions extends Limits {
  /** Your identifier of the user on whose behalf the agent acts. */
  readonly user: string;
  /** Tells a second account of the user at the provider apart. */
  readonly label?: string | undefined;
  /** Scopes that the token must have. Default: any will do. The first consent asks for the provider's default scopes too. */
  readonly scopes?: readonly string[] | undefined;
  /** The first consent asks for `scopes` alone. */
  readonly onlyScopes?: boolean | undefined;
  /** How long the token should live at least, 0 to 24 hours: a wish, as in `AcquireToken`. */
  readonly minTtlMs?: number | undefined;
  /** Where a person is needed, ask by device authorization (RFC 8628): a code that is entered on any device, instead of the link. */
  readonly device?: boolean | undefined;
}

/** The lease of an API key, as `renewLease` returns it. */
export interface Lease {
  /** Its length in milliseconds. */
  readonly durationMs: number;
  /** When it ends unless it is renewed again, by the clock of the daemon. */
  readonly endsAt: Date;
}

/** What is sent to the daemon for a token. @internal */
export interface Question {
  readonly returnUrl?: string | undefined;
  readonly waitMs?: number;
}

/**
 * Tokens of a nexusd. One client is meant for the whole process: it keeps one stream, by which the tokens that were asked for are
 * always the newest, and so asking again costs no call.
 */
export class Nexus implements AsyncDisposable, Disposable {
  readonly #connection: DaemonConnection;
  readonly #clock: Clock;
  readonly #cache: TokenCache;
  readonly #watch: TokenWatch;
  readonly #shared = new SharedCalls<Token>();
  readonly #closed = new AbortController();
  /** Why the last call got no answer. */
  #unreachable: NexusError | undefined;

  /**
   * Connects with the first question.
   *
   * @param options left out: the daemon of this user on this machine, or that of `NEXUS_ADDRESS` and `NEXUS_API_KEY_FILE`
   * @throws InvalidArgument for an address that is none, or that needs a key where there is none
   */
  constructor(options: NexusOptions = {}, /** @internal */ clock: Clock = new SystemClock()) {
    const connection = new DaemonConnection(daemonAddress(options));
    this.#connection = connection;
    // Each call under way listens to it.
    setMaxListeners(0, this.#closed.signal);
    this.#clock = clock;
    this.#cache = new TokenCache(clock, () => this.#watch.isLive);
    this.#watch = new TokenWatch({
      clock,
      cache: this.#cache,
      watchTokens: (request, signal) =>
        connection.streams.watchTokens(request, { signal, headers: connection.headers() }),
    });
  }

  /**
   * The current token. It costs a call only when it is asked for the first time, or when the daemon has none. With `timeoutMs`, it waits
   * for a daemon that restarts.
   *
   * @param provider name of the provider profile
   * @throws ConsentRequired with the link that a person must open
   * @throws NexusError its other kinds
   */
  async token(provider: string, options: TokenOptions): Promise<Token> {
    const name = tokenName(provider, options.user, options.label);
    this.#throwIfClosed();
    const { scopes = [], minTtlMs = 0 } = options;
    const found = this.#cache.find(name.key, { scopes, minTtlMs });
    if (found) {
      options.signal?.throwIfAborted();
      return found;
    }
    return await this.#limited(options, (signal) => this.#ask(name, options, signal));
  }

  /**
   * The current token; where a person must act first, the link is given to `onConsent`, and the call waits for the person. It goes on
   * while the daemon restarts. Without `onConsent` it is `token`.
   *
   * @throws ConsentDenied when the person, or the provider, says no
   * @throws what `token` throws, but no ConsentRequired for a link that was shown
   */
  async acquire(provider: string, options: AcquireOptions): Promise<Token> {
    const { onConsent } = options;
    if (!onConsent) return await this.token(provider, options);
    const name = tokenName(provider, options.user, options.label);
    this.#throwIfClosed();
    const { scopes = [], minTtlMs = 0 } = options;
    const found = this.#cache.find(name.key, { scopes, minTtlMs });
    if (found) return found;
    let isShown = false;
    const show: OnConsent = (consent) => {
      isShown = true;
      return onConsent(consent);
    };
    const run = (signal: AbortSignal): Promise<Token> => {
      const ask = (waitMs: number): Promise<Token> =>
        this.#acquireToken(name, options, { returnUrl: options.returnUrl, waitMs }, signal);
      return acquire({ ask, clock: this.#clock }, show, signal);
    };
    return await this.#limited(options, run).catch((error: unknown) => {
      const { user, timeoutMs } = options;
      if (!isShown || timeoutMs === undefined || !(error instanceof DeadlineExceeded)) throw error;
      throw new DeadlineExceeded(`${user} did not consent to ${provider} within ${timeoutMs / 1000} s`);
    });
  }

  /**
   * A `fetch` whose requests carry the token. On 401 it reports the token, waits for the next one and sends once more. On 403 with
   * `insufficient_scope` it rejects with `ConsentRequired`, whose `scopes` are those that `acquire` can wait for.
   *
   * @param options `fetch`: what sends the requests, instead of the global one
   */
  fetch(provider: string, options: TokenOptions & { readonly fetch?: Fetch | undefined }): Fetch {
    const { fetch = globalThis.fetch } = options;
    return fetchWith({
      fetch,
      token: () => this.token(provider, options),
      nextToken: (sent, status, challenge) => this.#next(provider, options, sent, status, challenge),
      prove: (request) => this.#prove(provider, options, request),
    });
  }

  /**
   * An interceptor for clients of Connect. On `UNAUTHENTICATED` it reports the token, waits for the next one and calls once more. Errors of
   * `token`, and that of `fetch` for missing scopes, are the `cause` of the `ConnectError` that the call rejects with.
   */
  interceptor(provider: string, options: TokenOptions): Interceptor {
    return interceptorWith({
      token: () => this.token(provider, options),
      nextToken: (sent, status, challenge) => this.#next(provider, options, sent, status, challenge),
      prove: (request) => this.#prove(provider, options, request),
    });
  }

  /**
   * Renews the lease of the API key that this client uses. Call it whenever a third of the lease has passed: the daemon revokes a key
   * whose lease ends.
   *
   * @throws AttentionRequired with the reason `NO_LEASE` for a key without a lease
   * @throws Unauthenticated when the lease has ended
   */
  async renewLease(limits: Limits = {}): Promise<Lease> {
    this.#throwIfClosed();
    const renew = (signal: AbortSignal) => () => {
      const options = { signal, timeoutMs: callTimeoutMs, headers: this.#connection.headers() };
      return this.#connection.access.renewLease({}, options);
    };
    const { lease, endsAt } = await this.#limited(limits, (signal) => this.#call(renew(signal), signal));
    if (!lease || !endsAt) throw new NexusError("the daemon answered without a lease");
    return { durationMs: millisecondsOf(lease), endsAt: timestampDate(endsAt) };
  }

  /** Ends the stream and the calls under way. A client that is not closed does not keep the process alive. */
  close(): void {
    this.#closed.abort(new NexusError("the client was closed"));
    this.#watch.close();
    this.#cache.clear();
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #throwIfClosed(): void {
    this.#closed.signal.throwIfAborted();
  }

  async #limited<T>(limits: Limits, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal, timeoutMs } = limits;
    const all = signal ? AbortSignal.any([signal, this.#closed.signal]) : this.#closed.signal;
    return await limited({ signal: all, timeoutMs }, run).catch((error: unknown) => {
      if (!this.#unreachable || !(error instanceof DeadlineExceeded)) throw error;
      throw new DeadlineExceeded(`${error.message}: ${this.#unreachable.message}`);
    });
  }

  #ask(name: TokenName, options: TokenOptions, signal: AbortSignal): Promise<Token> {
    const { scopes = [], onlyScopes = false, minTtlMs = 0, device = false, timeoutMs } = options;
    const wish = [[...scopes].sort(), onlyScopes, minTtlMs, device, timeoutMs !== undefined];
    const key = JSON.stringify([name.key, ...wish]);
    return this.#shared.join(key, signal, (shared) => this.#acquireToken(name, options, {}, shared));
  }

  /** @throws ConsentRequired */
  async #acquireToken(
    name: TokenName,
    { scopes = [], onlyScopes = false, minTtlMs = 0, device = false, timeoutMs }: TokenOptions,
    { returnUrl = "", waitMs = 0 }: Question,
    signal: AbortSignal,
  ): Promise<Token> {
    const { providerName, userId, label } = name.message;
    const request = {
      ...{ providerName, userId, label, scopes: [...scopes], onlyScopes, returnUrl, device },
      ...(minTtlMs > 0 ? { minTtl: durationOf(minTtlMs) } : {}),
      ...(waitMs > 0 ? { wait: durationOf(waitMs) } : {}),
    };
    const reports = this.#cache.reports(name.key);
    const { result } = await this.#call(
      () => {
        const options = { signal, timeoutMs: callTimeoutMs + waitMs, headers: this.#connection.headers() };
        return this.#connection.calls.acquireToken(request, options);
      },
      signal,
      timeoutMs !== undefined,
    );
    this.#watch.add(name);
    if (result.case === "token") {
      const token = new Token(result.value);
      this.#cache.put(name.key, token, scopes, reports);
      return token;
    }
    if (result.case === "consent") throw consentErrorOf(result.value);
    throw new NexusError(
      "the daemon answered neither a token nor a link: this library is older than the daemon",
    );
  }

  /** A call whose connection failed is repeated once: the daemon may have ended an idle one. A patient call waits while nobody listens. */
  async #call<T>(call: () => Promise<T>, signal: AbortSignal, isPatient = false): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        const result = await call();
        this.#unreachable = undefined;
        return result;
      } catch (error) {
        signal.throwIfAborted();
        const mapped = nexusErrorOf(error, this.#connection.address.text);
        this.#unreachable = isOfTheConnection(error) ? mapped : undefined;
        if (failures === 0 ? !this.#unreachable : !isPatient || !isAway(error)) throw mapped;
        if (failures > 0) await delay(this.#clock, reconnectMs, signal);
      }
    }
  }

  async #prove(provider: string, options: TokenOptions, request: ProvedRequest): Promise<string> {
    const { message: name } = tokenName(provider, options.user, options.label);
    return await this.#limited(options, (signal) =>
      this.#call(async () => {
        const callOptions = { signal, timeoutMs: callTimeoutMs, headers: this.#connection.headers() };
        return (await this.#connection.calls.createProof({ name, ...request }, callOptions)).proof;
      }, signal),
    );
  }

  /**
   * Reports a token that an API refused.
   *
   * @returns the next one, for one more attempt; undefined when there is none
   * @throws ConsentRequired where the API wants scopes that a person can grant, or another sign-in (RFC 9470)
   */
  async #next(
    provider: string,
    options: TokenOptions,
    sent: Token,
    status: number,
    wwwAuthenticate: string,
  ): Promise<Token | undefined> {
    const name = tokenName(provider, options.user, options.label);
    return await this.#limited(options, async (signal) => {
      // The API's answer says more to its caller than that the report failed.
      const nothing = (): undefined => {
        signal.throwIfAborted();
      };
      const request = { name: name.message, revision: BigInt(sent.revision), status, wwwAuthenticate };
      const report = await this.#report(request, signal).catch(nothing);
      if (report?.outcome === RejectionOutcome.SCOPES_MISSING) {
        this.#cache.lacks(name.key, report.missingScopes);
        if (report.consent) throw consentErrorOf(report.consent, report.missingScopes);
      }
      if (report?.outcome === RejectionOutcome.AUTHENTICATION_INSUFFICIENT && report.consent)
        throw consentErrorOf(report.consent, report.missingScopes);
      if (report?.outcome !== RejectionOutcome.REFRESHED && report?.outcome !== RejectionOutcome.SUPERSEDED)
        return undefined;
      const isNext = (token: Token): boolean =>
        token.revision >= Number(report.revision) && token.revision !== sent.revision;
      const maxMs = this.#watch.isLive ? arrivalMs : openingMs;
      const next =
        (await this.#cache.arrives(name.key, isNext, maxMs)) ??
        (await this.#ask(name, options, signal).catch(nothing));
      return next?.revision === sent.revision ? undefined : next;
    });
  }

  async #report(
    request: MessageInitShape<typeof ReportRejectedTokenRequestSchema>,
    signal: AbortSignal,
  ): Promise<ReportRejectedTokenResponse> {
    const callOptions = { signal, timeoutMs: callTimeoutMs, headers: this.#connection.headers() };
    return await this.#connection.calls.reportRejectedToken(request, callOptions);
  }
}

function durationOf(ms: number): { seconds: bigint; nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) };
}
