import { CredentialVault } from "../src/domain/connections/credential_vault.js";
import { openKeyCheck } from "../src/domain/operations/key_check.js";
import { bearerStrategy } from "../src/model/credentials/strategy.js";
import { newId } from "../src/model/ids.js";
import type { ProviderProfile } from "../src/model/providers/provider_profile.js";
import { redirectPathFor } from "../src/model/providers/redirect_path.js";
import { Secret } from "../src/runtime/secret.js";
import { Store } from "../src/store/store.js";
import { Vault } from "../src/vault/vault.js";
import { manualSettings } from "../test/fakes/wired_domain.js";
import { aConnection, aProfile } from "../test/samples.js";

/** Connections written in one commit. */
const page = 5_000;
const hourMs = 3_600_000;

/** What a store is filled with. */
export interface Filling {
  readonly folder: string;
  /** 32 bytes. */
  readonly key: Buffer;
  /** Of the provider; the token endpoint of each profile lies below `<origin>/<name>`. */
  readonly origin: string;
  readonly providers: readonly string[];
  /** What their profiles have beside endpoints. */
  readonly profile?: Partial<ProviderProfile>;
  readonly groups: readonly {
    readonly count: number;
    /** When their refresh falls due; the token lives an hour longer. */
    readonly dueAtMs: number;
    /** Default 2. */
    readonly accessTokenBytes?: number;
    readonly userId?: string;
  }[];
}

/**
 * Fills a store with active connections of the providers in turn.
 *
 * @returns the ids of each group in their order, of a big group only the first 20 000
 */
export async function fillStore({
  folder,
  key,
  origin,
  providers,
  profile,
  groups,
}: Filling): Promise<string[][]> {
  const nowMs = Date.now();
  const store = Store.open({ folder, nowMs });
  const sealer = new Vault(key);
  await openKeyCheck(store, sealer);
  const vault = new CredentialVault({ vault: sealer, databaseId: store.databaseId });
  const profiles = providers.map((name) =>
    aProfile({
      ...manualSettings(name, `${origin}/${name}`),
      ...{ createdAtMs: nowMs, updatedAtMs: nowMs, redirectPath: redirectPathFor(name) },
      ...profile,
    }),
  );
  await store.commit((tx) => {
    for (const profile of profiles) tx.putProvider(profile);
  });
  const ids: string[][] = [];
  for (const group of groups) {
    const written: string[] = [];
    // Written in their order: a commit touches few pages then, and a million connections take minutes, not hours.
    const groupIds = Array.from({ length: group.count }, newId).sort();
    const accessToken = new Secret("a".repeat(group.accessTokenBytes ?? 2));
    for (let from = 0; from < group.count; from += page) {
      await store.commit((tx) => {
        for (const [offset, id] of groupIds.slice(from, from + page).entries()) {
          const profile = profiles[(from + offset) % profiles.length];
          if (profile === undefined) throw new RangeError("a store needs at least one provider");
          const connection = aConnection({
            ...{ id, userId: group.userId ?? "ada", providerId: profile.id, providerName: profile.name },
            ...{ status: "active", credentialRevision: 1n, refreshable: true, strategy: bearerStrategy },
            ...{ createdAtMs: nowMs, updatedAtMs: nowMs, issuedAtMs: nowMs },
            ...{
              dueAtMs: group.dueAtMs,
              refreshNotBeforeMs: group.dueAtMs,
              expiresAtMs: group.dueAtMs + hourMs,
            },
          });
          const refreshToken = new Secret(`${connection.id}#1`);
          const credential = { accessToken, refreshToken, tokenType: "Bearer", idToken: undefined };
          tx.putCredential(connection.id, vault.sealCredential(connection, 1n, credential));
          tx.putConnection(connection);
          if (written.length < 20_000) written.push(connection.id);
        }
      });
    }
    ids.push(written);
  }
  await store.close();
  return ids;
}
