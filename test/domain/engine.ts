import type { ConnectionRequest } from "../../src/domain/consent/consent.js";
import type { RefreshEngine } from "../../src/domain/grants/refresh_engine.js";
import type { RefreshHistory } from "../../src/domain/grants/refresh_history.js";
import type { Refresher } from "../../src/domain/grants/refresher.js";
import type { RefreshRequest } from "../../src/domain/token_endpoint/grant_type.js";
import { owner, type Principal } from "../../src/model/access/principal.js";
import type { Connection } from "../../src/model/connections/connection.js";
import { newConnection } from "../../src/model/connections/new_connection.js";
import type { RefreshOutcome } from "../../src/model/connections/refresh_outcome.js";
import type { TokenSet } from "../../src/model/credentials/credential.js";
import { newId } from "../../src/model/ids.js";
import type { ProviderProfile } from "../../src/model/providers/provider_profile.js";
import { GrantFailure, type GrantFailureFields } from "../../src/oauth/failure.js";
import type { DevicePollOutcome } from "../../src/oauth/grants/device_grant.js";
import type { Renewed } from "../../src/oauth/token_response.js";
import type { OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { Secret } from "../../src/runtime/secret.js";
import type { SpoolFile } from "../../src/store/files/spool_file.js";
import { Store, type StoreOptions } from "../../src/store/store.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { WiredDomain } from "../fakes/wired_domain.js";
import { aProfile } from "../samples.js";
import { temporaryFolder } from "../temporary_folder.js";

export const startMs = 1_800_000_000_000;
export const hourMs = 3_600_000;

export function tokenSet(change: Partial<TokenSet> = {}): TokenSet {
  return {
    accessToken: new Secret(`access-${newId()}`),
    refreshToken: new Secret(`refresh-${newId()}`),
    tokenType: "Bearer",
    idToken: undefined,
    expiresInMs: hourMs,
    scopes: undefined,
    subject: undefined,
    ...change,
  };
}

/** How a device is authorized. */
const device = {
  ...{ deviceCode: "device-code", userCode: "WDJB-MJHT", verificationUri: "https://op.example/device" },
  ...{ verificationUriComplete: undefined, expiresInMs: 1_800_000, intervalMs: 5_000 },
};

/** One refresh request that was sent and waits for the test to answer it. */
export interface SentRefresh {
  readonly provider: string;
  readonly refreshToken: string;
  readonly scopes: readonly string[];
  answer(result: Renewed): void;
  fail(error: unknown): void;
}

/** The wired domain on a real store, its provider played by the test. */
export class Engine extends WiredDomain {
  readonly clock: ManualClock;
  readonly sent: SentRefresh[] = [];
  readonly store: Store;
  readonly counted: string[] = [];
  /** Answers the codes of consents. */
  exchangeCode: () => Promise<TokenSet> = () => Promise.resolve(tokenSet());
  /** Answers whether the person of a device authorization is done. */
  pollDevice: () => Promise<DevicePollOutcome> = () => Promise.resolve({ kind: "pending" });
  /** Answers what providers' APIs are asked. */
  outbound: OutboundFetch = () => Promise.reject(new Error("no network"));
  #onSent: (() => void) | undefined;

  constructor(
    folder = temporaryFolder(),
    spoolFile?: SpoolFile,
    options: Pick<
      ConstructorParameters<typeof WiredDomain>[0],
      "member" | "maxRejectionsPerHour" | "isAudited" | "tracing"
    > & { readonly tables?: StoreOptions["tables"] } = {},
  ) {
    const clock = new ManualClock(startMs);
    const store = Store.open({ folder, nowMs: startMs, tables: options.tables });
    super({
      ...options,
      isCached: true,
      store,
      clock,
      random: () => 0.5,
      spoolFile,
      grants: {
        refresh: (request) => this.#send(request),
        exchangeCode: () => this.exchangeCode(),
        authorizeDevice: () => Promise.resolve(device),
        pollDevice: () => this.pollDevice(),
      },
      outbound: (url, request) => this.outbound(url, request),
      metrics: {
        refreshed: (_provider, result, reason) => void this.counted.push(`${result} ${reason}`.trim()),
        replaced: () => {},
        spooled: () => {},
      },
    });
    this.clock = clock;
    this.store = store;
    store.onCommitted((changed) => this.changes.emit("connections", changed));
  }

  get history(): RefreshHistory {
    return this.refresh.history;
  }

  get scheduler(): RefreshEngine {
    return this.engine;
  }

  get refresher(): Refresher {
    return this.engine.refresher;
  }

  async close(): Promise<void> {
    for (const request of this.sent) request.fail(new Error("the test is over"));
    await this.scheduler.stop();
    await this.store.close();
  }

  /** Registers a profile with endpoints set by hand. */
  async provider(name: string, change: Partial<ProviderProfile> = {}): Promise<ProviderProfile> {
    const profile = aProfile({
      name,
      authUrl: "https://op.example/auth",
      tokenUrl: "https://op.example/token",
      createdAtMs: startMs,
      updatedAtMs: startMs,
      redirectPath: `/auth/callback/${name}`,
      ...change,
    });
    await this.store.commit((tx) => tx.putProvider(profile));
    return profile;
  }

  /** An active connection with a first token. */
  async connection(profile: ProviderProfile, first: TokenSet = tokenSet()): Promise<Connection> {
    const nowMs = this.clock.nowMs();
    const blank = {
      ...newConnection(newId(), { userId: "ada", label: "" }, profile, nowMs),
      requestedScopes: ["read"],
    };
    return await this.store.commit((tx) =>
      this.writer.write(tx, { connection: blank, profile, tokenSet: first, receivedAtMs: nowMs }),
    );
  }

  /** An active connection of a new profile. */
  async connected(first?: TokenSet): Promise<Connection> {
    return await this.connection(await this.provider("op"), first);
  }

  /** A person consents, from the request to the callback, and the provider answers the code with `tokens`. */
  async consent(tokens: TokenSet, request: Partial<ConnectionRequest> = {}) {
    this.exchangeCode = () => Promise.resolve(tokens);
    const { state, connectionId } = await this.request(request);
    return { connectionId, result: await this.finish(state) };
  }

  request(request: Partial<ConnectionRequest> = {}, principal: Principal = owner) {
    const provider = { name: "op" };
    const all = { userId: "ada", provider, scopes: [], returnUrl: undefined, connectionId: undefined };
    return this.requests.request({ ...all, ...request }, principal);
  }

  /** From the page of the request to the callback. */
  async finish(state: string, stepUp?: "agreed", path = "/auth/callback/op") {
    const started = await this.completer.start(state, () => stepUp === "agreed");
    if (started.kind !== "redirect") throw new Error(started.kind);
    const query = new URLSearchParams({ state, code: "c" });
    return await this.completer.finish(query, () => started.binding.value, undefined, path);
  }

  /** A record is damaged, or a newer version wrote it: it cannot be read. */
  damage(database: "providers" | "suspensions" | "apiKeys", key: string): void {
    this.store["databases"][database].putSync(key, Buffer.from([0x0a, 0xff, 0xff]));
  }

  /** What lies in the store. */
  credentialOf(id: string) {
    const stored = this.store.getCredential(id);
    return stored && this.vault.openCredential(this.get(id), stored);
  }

  refreshTokenOf(id: string): string | undefined {
    return this.credentialOf(id)?.refreshToken?.reveal();
  }

  /** Events of the connection, the newest first. */
  events(connectionId: string) {
    return this.store.listAuditEvents({ limit: 20, connectionId }).events.map(({ event }) => event);
  }

  get(id: string): Connection {
    const connection = this.store.getConnection(id);
    if (!connection) throw new Error("no such connection");
    return connection;
  }

  /** Resolves with the last of `count` requests when that many have been sent in all. */
  async untilSent(count: number): Promise<SentRefresh> {
    while (this.sent.length < count) {
      await new Promise<void>((resolve) => {
        this.#onSent = resolve;
      });
    }
    return this.sent[count - 1] as SentRefresh;
  }

  /** Refreshes by the next request that is sent, and answers that. */
  async refreshed(id: string, answer: Renewed | GrantFailureFields): Promise<RefreshOutcome> {
    const count = this.sent.length + 1;
    const refreshed = this.refresher.refresh(id);
    const request = await this.untilSent(count);
    if ("tokenSet" in answer) request.answer(answer);
    else request.fail(new GrantFailure(answer));
    return await refreshed;
  }

  /** Resolves with the connection when it passes, looking after each commit. */
  async until(id: string, pass: (connection: Connection) => boolean): Promise<Connection> {
    while (!pass(this.get(id))) {
      await new Promise<void>((resolve) => {
        this.changes.once("connections", () => resolve());
      });
    }
    return this.get(id);
  }

  async #send(request: RefreshRequest): Promise<Renewed> {
    if ((await request.beforeSend?.()) === false) throw new GrantFailure({ kind: "transient" });
    return await new Promise((resolve, reject) => {
      this.sent.push({
        provider: request.profile.name,
        refreshToken: request.refreshToken?.reveal() ?? "",
        scopes: request.scopes,
        answer: resolve,
        fail: reject,
      });
      this.#onSent?.();
    });
  }
}
