import { daemon } from "../../model/access/principal.js";
import {
  FailedPrecondition,
  InvalidArgument,
  NexusError,
  Unavailable,
  unlessDataLoss,
} from "../../model/errors.js";
import { isConsented } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { DevicePollOutcome } from "../../oauth/grants/device_grant.js";
import { DueTimes, type DueWork, DueWorker } from "../../runtime/due_worker.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { DeviceConsent, DeviceSecret } from "../../store/records/secret_codec.js";
import { type StoreParts, takeRequest } from "../connections/connections.js";
import type { TokenSpool } from "../grants/grants.js";
import {
  type IssuerMetadata,
  refusalWords,
  type TokenEndpointClient,
} from "../token_endpoint/token_endpoint.js";
import type { ConsentCommits } from "./consent_commit.js";
import type { ConsentEnding } from "./consent_ending.js";
import { exchangeFailure } from "./consent_outcomes.js";
import type { ConsentJudge, Flawless } from "./ways.js";

/** RFC 8628 section 3.5: what `slow_down` adds, for the rest of the flow. */
const slowDownMs = 5_000;
/** A server that does not answer is called less and less often, up to this. */
const maxBackoffMs = 60_000;
/** An answer that is under way when the daemon stops may be the only one with the token: it is waited for so long. */
const stopMs = 5_000;

interface DevicePollerDeps extends StoreParts {
  readonly judge: ConsentJudge;
  readonly commits: ConsentCommits;
  readonly ending: ConsentEnding;
  readonly spool: TokenSpool;
  readonly servers: IssuerMetadata;
  readonly grants: Pick<TokenEndpointClient, "pollDevice">;
  /** Shared with the refresher: one token request per connection. */
  readonly locks: KeyedMutex<string>;
}

/**
 * Asks providers whether the persons of device authorizations are done (RFC 8628 section 3.4). The pending requests are in the store: a restart
 * goes on with it. The end of a request is due work of its connection.
 */
export class DevicePoller {
  readonly #times = new DueTimes();
  /** Requests in a row that came to nothing, by the key of the pending authorization. */
  readonly #failures = new Map<string, number>();
  readonly #worker: DueWorker<DueWork>;

  constructor(private readonly deps: DevicePollerDeps) {
    const { clock, log } = deps;
    this.#worker = new DueWorker({
      ...{ clock, stopMs, isMonotonic: true },
      // Each server names its polling interval.
      ...{ atMost: Number.POSITIVE_INFINITY, atMostIn: () => Number.POSITIVE_INFINITY },
      next: (nowMs) => this.#times.next(nowMs),
      run: ({ key }, signal) => this.#poll(key, signal),
      onError: (error, { key }) => {
        log.error({ err: error }, "device authorization failed");
        this.#forget(key);
      },
    });
  }

  /** Resumes the requests of the last process. */
  start(): void {
    for (const key of this.deps.store.deviceAuthorizations()) this.watch(key);
  }

  /** Waits for the person of a request that is stored. @param key of the pending authorization */
  watch(key: string): void {
    const pending = this.deps.store.getAuthorization(key);
    if (pending?.deviceIntervalMs === undefined) return;
    this.#askIn(key, pending.deviceIntervalMs);
    this.#worker.start();
  }

  /** Asks no more. What is under way may end; what does not is cut off and stays in the store. */
  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  #askIn(key: string, waitMs: number): void {
    this.#times.delete(key);
    this.#times.put(key, this.deps.clock.monotonicMs() + waitMs);
  }

  #forget(key: string): void {
    this.#times.delete(key);
    this.#failures.delete(key);
  }

  async #poll(key: string, signal: AbortSignal): Promise<void> {
    const polled = this.#polled(key);
    if (!polled) return this.#forget(key);
    const { pending } = polled;
    const { connectionId } = pending;
    const outcome = await this.deps.locks
      .run(connectionId, async () => (this.#worker.isOpen ? await this.#ask(polled, signal) : "failed"))
      .catch((error: unknown) => {
        this.deps.log.error({ connectionId, err: error }, "a look at a device authorization failed");
        return "failed" as const;
      });
    if (!this.#worker.isOpen) return;
    if (outcome === "over") return this.#forget(key);
    const intervalMs = pending.deviceIntervalMs ?? 0;
    const failures = outcome === "failed" ? (this.#failures.get(key) ?? 0) + 1 : 0;
    this.#failures.set(key, failures);
    const slowerMs = outcome === "slow_down" ? slowDownMs : 0;
    const backoffMs = Math.max(intervalMs, Math.min(maxBackoffMs, intervalMs * 2 ** failures));
    this.#askIn(key, backoffMs + slowerMs);
  }

  /** Undefined when the request is over, or cannot be answered any more. */
  #polled(key: string): Flawless | undefined {
    const { store, judge } = this.deps;
    const found = unlessDataLoss(() => judge.find("poll", store, key));
    return found === undefined || typeof found === "string" || !found.secret.device ? undefined : found;
  }

  /** One request, and what it comes to; none where one before brought the tokens, and no commit took them. */
  async #ask(polled: Flawless, signal: AbortSignal): Promise<"pending" | "slow_down" | "failed" | "over"> {
    const { key, pending, profile } = polled;
    const { commits, spool, store } = this.deps;
    await spool.settle(pending.connectionId);
    if (!store.getAuthorization(key)) return "over";
    try {
      const outcome = await this.#send(polled, signal);
      if (outcome.kind === "slow_down") await this.#slowDown(key);
      if (outcome.kind !== "granted") return outcome.kind;
      const { tokenSet } = outcome;
      await commits.commit({ way: "device", key, pending, profile, tokenSet, metadata: {}, actor: daemon });
      return "over";
    } catch (error) {
      if (error instanceof GrantFailure) return await this.#failed(polled, error);
      // The server cannot be resolved at the moment, or another hub leads.
      if (error instanceof NexusError) return "failed";
      throw error;
    }
  }

  async #send({ profile, secret }: Flawless, signal: AbortSignal): Promise<DevicePollOutcome> {
    const { servers, grants } = this.deps;
    const expectsIdToken = secret.nonce !== undefined;
    const server = await servers.resolve(profile, expectsIdToken);
    return await grants.pollDevice({
      server,
      profile,
      codeVerifier: secret.codeVerifier,
      deviceCode: secret.device?.deviceCode ?? "",
      expectsIdToken,
      dpopKey: secret.dpopKey,
      signal,
    });
  }

  async #failed({ key, pending, profile }: Flawless, failure: GrantFailure): Promise<"failed" | "over"> {
    const { store, clock, log, ending } = this.deps;
    const { connectionId, providerId } = pending;
    const end = endings.get(failure.oauthError ?? "");
    // An answer that was lost may have been a token; the next one shows it.
    if (!end && (failure.kind === "transient" || failure.kind === "ambiguous")) {
      const details = { failure: failure.message, description: refusalWords(failure) };
      log.info({ connectionId, providerId, ...details }, "device authorization could not be asked for");
      return "failed";
    }
    const taken = await store.commit((tx) => takeRequest(tx, key, clock.nowMs()));
    if (!taken) return "over";
    const problem = end ?? exchangeFailure(failure, profile, "");
    await ending.endExchange({ pending, profile, failure, problem, actor: daemon });
    return "over";
  }

  async #slowDown(key: string): Promise<void> {
    await this.deps.store.commit((tx) => {
      const pending = tx.getAuthorization(key);
      if (pending?.deviceIntervalMs === undefined) return;
      tx.putAuthorization(key, { ...pending, deviceIntervalMs: pending.deviceIntervalMs + slowDownMs });
    });
  }
}

/** What RFC 8628 section 3.5 adds to the errors of the token endpoint. */
const endings: ReadonlyMap<
  string,
  { reason: "access_denied" | "consent_expired"; type: "oauth_error"; detail?: undefined }
> = new Map([
  ["access_denied", { reason: "access_denied", type: "oauth_error" }],
  // Microsoft's word.
  ["authorization_declined", { reason: "access_denied", type: "oauth_error" }],
  ["expired_token", { reason: "consent_expired", type: "oauth_error" }],
]);

/** The code that the daemon redeems is left out. */
export function deviceConsentOf({
  verificationUri,
  userCode,
  verificationUriComplete,
}: DeviceSecret): DeviceConsent {
  return { verificationUri, userCode, verificationUriComplete };
}

/** How long the server is left alone that named no time. */
const retryAfterMs = 5_000;

/** @throws InvalidArgument for what a device authorization cannot do */
export function refuseForDevice(
  profile: ProviderProfile,
  { returnUrl }: { readonly returnUrl: string | undefined },
  requireConfirmation: boolean,
): void {
  const refuse = (field: string, description: string): never => {
    throw new InvalidArgument([{ field, description }]);
  };
  if (!isConsented(profile)) refuse("device", "is for a profile of type oauth2 that a person consents to");
  if (returnUrl !== undefined) refuse("return_url", "must be empty with device: no browser comes back");
  if (requireConfirmation) refuse("device", "cannot be confirmed: no browser brings a completion code back");
}

/** A device code, as a pending authorization keeps it. */
export interface RequestedDevice {
  readonly secret: DeviceSecret;
  readonly expiresInMs: number;
  readonly intervalMs: number;
}

/** What a device authorization asks of the provider. */
export class DeviceRequests {
  constructor(
    private readonly deps: {
      readonly grants: Pick<TokenEndpointClient, "authorizeDevice">;
      readonly poller: Pick<DevicePoller, "watch">;
    },
  ) {}

  /** Waits for the person of a request that is stored. @param key of the pending authorization */
  watch(key: string): void {
    this.deps.poller.watch(key);
  }

  /** Asks for a device code. @throws FailedPrecondition, Unavailable, DataLoss */
  async authorize(request: {
    readonly server: AuthorizationServer | undefined;
    readonly profile: ProviderProfile;
    readonly scopes: readonly string[];
    readonly codeVerifier: string;
  }): Promise<RequestedDevice> {
    const { server, profile } = request;
    const { name, oauth2 } = profile;
    const endpoint = oauth2.deviceAuthorizationUrl || server?.deviceAuthorizationEndpoint;
    if (endpoint === undefined || !server) {
      throw new FailedPrecondition(
        "PROVIDER_MISCONFIGURED",
        `${name} names no device authorization endpoint: set oauth2_options.device_authorization_url, or ask without device`,
      );
    }
    try {
      const {
        deviceCode,
        verificationUriComplete = "",
        ...authorized
      } = await this.deps.grants.authorizeDevice({
        ...request,
        server,
        endpoint,
      });
      const { userCode, verificationUri, expiresInMs, intervalMs } = authorized;
      const secret = { deviceCode, userCode, verificationUri, verificationUriComplete };
      return { secret, expiresInMs, intervalMs };
    } catch (error) {
      if (!(error instanceof GrantFailure)) throw error;
      const sentence = `${name} gives no device code: ${error.message}`;
      const isPassing = error.kind === "transient" || error.kind === "ambiguous";
      if (isPassing && !error.isClientError)
        throw new Unavailable(sentence, error.retryAfterMs ?? retryAfterMs);
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", sentence, error);
    }
  }
}
