import { CredentialVault } from "../src/domain/credential_vault.js";
import { openKeyCheck } from "../src/domain/key_check.js";
import type { Connection } from "../src/model/connection.js";
import { newId } from "../src/model/ids.js";
import { bearerStrategy } from "../src/model/strategy.js";
import { Secret } from "../src/runtime/secret.js";
import { Store } from "../src/store/store.js";
import { Vault } from "../src/vault/vault.js";
import { manualSettings } from "../test/fakes/wired_domain.js";

/** Written in one commit. */
const page = 500;

/** Fills a store with active connections that all fall due at once; answers the id of one more that is fresh. */
export async function fillStore(options: {
  readonly folder: string;
  readonly key: Buffer;
  readonly origin: string;
  readonly providers: readonly string[];
  readonly count: number;
  readonly dueAtMs: number;
}): Promise<string> {
  const { folder, key, origin, providers, count, dueAtMs } = options;
  const nowMs = Date.now();
  const store = Store.open({ folder, nowMs });
  const sealer = new Vault(key);
  await openKeyCheck(store, sealer);
  const vault = new CredentialVault({ vault: sealer, databaseId: store.databaseId });
  const profiles = providers.map((name) => ({
    ...manualSettings(name, `${origin}/${name}`),
    id: newId(),
    clientSecret: undefined,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    version: 1n,
  }));
  await store.commit((tx) => {
    for (const profile of profiles) tx.putProvider(profile);
  });
  const connectionOf = (index: number, dueMs: number): Connection => {
    const profile = profiles[index % profiles.length];
    return {
      id: newId(),
      userId: "ada",
      providerId: profile?.id ?? "",
      providerName: profile?.name ?? "",
      status: "active",
      credentialRevision: 1n,
      requestedScopes: [],
      grantedScopes: [],
      expiresAtMs: dueMs + 3_600_000,
      issuedAtMs: nowMs,
      refreshable: true,
      refreshNotBeforeMs: dueMs,
      problem: undefined,
      failedRefreshes: 0,
      refreshIntent: undefined,
      pendingStateHash: undefined,
      requestExpiresAtMs: undefined,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      dueAtMs: dueMs,
      subject: undefined,
      strategy: bearerStrategy,
      metadata: {},
    };
  };
  const write = (connections: readonly Connection[]): Promise<void> =>
    store.commit((tx) => {
      for (const connection of connections) {
        const credential = {
          accessToken: new Secret("at"),
          refreshToken: new Secret(`${connection.id}#1`),
          tokenType: "Bearer",
          idToken: undefined,
        };
        tx.putCredential(connection.id, vault.sealCredential(connection, 1n, credential));
        tx.putConnection(connection);
      }
    });
  for (let from = 0; from < count; from += page) {
    const size = Math.min(page, count - from);
    await write(Array.from({ length: size }, (_, index) => connectionOf(from + index, dueAtMs)));
  }
  const fresh = connectionOf(0, nowMs + 7_200_000);
  await write([fresh]);
  await store.close();
  return fresh.id;
}
