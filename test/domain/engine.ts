import { CredentialReader } from "../../src/domain/credentials/credential_reader.js";
import { CredentialVault } from "../../src/domain/credentials/credential_vault.js";
import { CredentialWriter } from "../../src/domain/credentials/credential_writer.js";
import { IssuerMetadata } from "../../src/domain/grants/issuer_metadata.js";
import { RevocationQueue } from "../../src/domain/grants/revocation_queue.js";
import type { RefreshRequest } from "../../src/domain/grants/token_endpoint_client.js";
import { TokenSpool } from "../../src/domain/grants/token_spool.js";
import { newConnection } from "../../src/domain/lifecycle/new_connection.js";
import { RefreshEngine } from "../../src/domain/refresh/refresh_engine.js";
import type { Refresher } from "../../src/domain/refresh/refresher.js";
import type { Connection } from "../../src/model/connections/connection.js";
import type { TokenSet } from "../../src/model/credentials/credential.js";
import { bearerStrategy } from "../../src/model/credentials/strategy.js";
import { newId } from "../../src/model/ids.js";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import type { ProviderProfile } from "../../src/model/providers/provider_profile.js";
import type { RefreshResult } from "../../src/oauth/refresh_grant.js";
import { Changes } from "../../src/runtime/changes.js";
import { KeyedMutex } from "../../src/runtime/keyed_mutex.js";
import { ManualClock } from "../../src/runtime/manual_clock.js";
import { Secret } from "../../src/runtime/secret.js";
import type { SpoolFile } from "../../src/store/files/spool_file.js";
import { Store } from "../../src/store/store.js";
import { Vault } from "../../src/vault/vault.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { silentLog } from "../silent_log.js";
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

/** One refresh request that was sent and waits for the test to answer it. */
export interface SentRefresh {
  readonly provider: string;
  readonly refreshToken: string;
  answer(result: RefreshResult): void;
  fail(error: unknown): void;
}

/** The refresh engine on a real store, its provider played by the test. */
export class Engine {
  readonly clock = new ManualClock(startMs);
  readonly changes = new Changes();
  readonly sent: SentRefresh[] = [];
  readonly store: Store;
  readonly reader: CredentialReader;
  readonly refresher: Refresher;
  readonly scheduler: RefreshEngine;
  readonly counted: string[] = [];
  readonly vault: CredentialVault;
  readonly writer: CredentialWriter;
  readonly spool: TokenSpool;
  #onSent: (() => void) | undefined;

  constructor(folder = temporaryFolder(), spoolFile?: SpoolFile) {
    this.store = Store.open({ folder, nowMs: startMs });
    this.vault = new CredentialVault({
      vault: new Vault(Buffer.alloc(32, 1)),
      databaseId: this.store.databaseId,
    });
    const shared = {
      store: this.store,
      vault: this.vault,
      clock: this.clock,
      log: silentLog,
      changes: this.changes,
      random: () => 0.5,
    };
    this.writer = new CredentialWriter(shared);
    this.reader = new CredentialReader(shared);
    const revocations = new RevocationQueue(shared);
    this.spool = new TokenSpool({ ...shared, file: spoolFile, revocations });
    this.scheduler = new RefreshEngine({
      revocations,
      spool: this.spool,
      ...shared,
      writer: this.writer,
      servers: new IssuerMetadata({
        ...shared,
        networks: loopbackNetworks,
        fetchDocument: () => Promise.reject(new Error("no network")),
      }),
      grants: { refresh: (request) => this.#send(request) },
      locks: new KeyedMutex(),
      metrics: {
        refreshed: (_provider, result, reason) => void this.counted.push(`${result} ${reason}`.trim()),
        replaced: () => {},
      },
    });
    this.refresher = this.scheduler.refresher;
    this.store.onCommitted((changed) => this.changes.emit("connections", changed));
  }

  async close(): Promise<void> {
    for (const request of this.sent) request.fail(new Error("the test is over"));
    await this.scheduler.stop();
    await this.store.close();
  }

  /** Registers a profile with endpoints set by hand. */
  async provider(name: string, change: Partial<ProviderProfile> = {}): Promise<ProviderProfile> {
    const profile: ProviderProfile = {
      id: newId(),
      name,
      authType: "oauth2",
      clientId: "client",
      clientSecret: undefined,
      tokenEndpointAuthMethod: "none",
      issuer: "",
      enableDiscovery: false,
      authUrl: "https://op.example/auth",
      tokenUrl: "https://op.example/token",
      jwksUrl: "",
      scopes: [],
      authorizationParams: {},
      apiBaseUrl: "",
      userInfoEndpoint: "",
      description: "",
      category: "",
      refreshWindowMs: undefined,
      strategy: bearerStrategy,
      credentialSchema: undefined,
      params: {},
      oauth2: plainOAuth2,
      template: "",
      createdAtMs: startMs,
      updatedAtMs: startMs,
      version: 1n,
      redirectPath: `/auth/callback/${name}`,
      ...change,
    };
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
    return await this.store.commit((tx) => this.writer.write(tx, blank, profile, first, undefined));
  }

  get(id: string): Connection {
    const connection = this.store.getConnection(id);
    if (!connection) throw new Error("no such connection");
    return connection;
  }

  /** Resolves when `count` requests have been sent in all. */
  async untilSent(count: number): Promise<void> {
    while (this.sent.length < count) {
      await new Promise<void>((resolve) => {
        this.#onSent = resolve;
      });
    }
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

  #send(request: RefreshRequest): Promise<RefreshResult> {
    return new Promise((resolve, reject) => {
      this.sent.push({
        provider: request.profile.name,
        refreshToken: request.refreshToken.reveal(),
        answer: resolve,
        fail: reject,
      });
      this.#onSent?.();
    });
  }
}
