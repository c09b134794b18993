import { by } from "../../model/access/audit_event.js";
import { daemon, type Principal } from "../../model/access/principal.js";
import { type ClientKey, type ClientKeyType, clientKeyTypeOf } from "../../model/clients/client_key.js";
import { hasPrivateKey, signsByClientKey } from "../../model/clients/client_proof.js";
import { DataLoss, FailedPrecondition } from "../../model/errors.js";
import type { ProviderSettings } from "../../model/providers/provider_profile.js";
import type { Secret } from "../../runtime/secret.js";
import { SingleFlight } from "../../runtime/single_flight.js";
import type { Transaction } from "../../store/transaction.js";
import { makeClientKeyPair, type PublicJwk, publicJwkOf } from "../../vault/client_key_pair.js";
import { clientKeyPlace, type VaultParts } from "../connections/connections.js";

/**
 * A new key is published for so long before it signs. Servers keep the set as long as the response allows, 5 minutes, or for a day, or until they
 * meet a `kid` that they do not know.
 */
export const publishedBeforeMs = 24 * 60 * 60_000;
/** An old key stays published for so long after it signed for the last time: an assertion is good for 60 s, and clocks differ. */
export const publishedAfterMs = 60 * 60_000;

/** A key with what the daemon publishes of it. */
export interface PublishedKey extends Omit<ClientKey, "sealed"> {
  readonly jwk: PublicJwk;
  readonly isSigning: boolean;
}

/** A key for one signature. */
export interface OwnSigningKey {
  readonly kid: string;
  /** PKCS #8 as PEM. */
  readonly privateKey: Secret;
}

/**
 * The keys by which the daemon proves itself as a client: one of each type signs, those before and after it are published beside it. What
 * a key is at a time follows from its record alone, so that nothing has to happen at that time.
 */
export class ClientKeys {
  readonly #making = new SingleFlight<ClientKeyType, void>();
  /** The public halves of what was opened, by `kid`. */
  readonly #published = new Map<string, PublicJwk>();
  /** Those that the log has once: anybody may ask for the set, and as often as they like. */
  readonly #reported = new Set<string>();

  constructor(private readonly deps: VaultParts) {}

  /** Those that are published, the oldest first. One that cannot be opened is none. */
  list(): readonly PublishedKey[] {
    const live = this.#live();
    const signing = new Set(live.map(({ type }) => signingOf(live, type, this.deps.clock.nowMs())?.kid));
    return live.flatMap(({ sealed: _, ...key }) => {
      const jwk = this.#published.get(key.kid);
      return jwk ? [{ ...key, jwk, isSigning: signing.has(key.kid) }] : [];
    });
  }

  /** RFC 7517 section 5. */
  get jwkSet(): { readonly keys: readonly PublicJwk[] } {
    return { keys: this.list().map(({ jwk }) => jwk) };
  }

  /** Publishes the key that a profile will sign with, before it does. */
  async prepare(profile: ProviderSettings & { readonly clientSecret: unknown }): Promise<void> {
    const signsActor = profile.oauth2.actorToken === "signed" && !hasPrivateKey(profile);
    if (signsActor || signsByClientKey(profile, profile.clientSecret !== undefined))
      await this.#ensure(clientKeyTypeOf(profile.oauth2.clientSigningAlg));
  }

  /**
   * The key that signs by an algorithm now, made where there is none; of no algorithm that of P-256.
   *
   * @param algorithm of RFC 7518 section 3.1
   */
  async signingKey(algorithm: string): Promise<OwnSigningKey> {
    const type = clientKeyTypeOf(algorithm);
    const key = this.#signing(type) ?? (await this.#ensure(type));
    await this.#eraseEnded();
    return {
      kid: key.kid,
      privateKey: this.deps.vault.openToken(clientKeyPlace(key.kid, key.createdAtMs), key.sealed),
    };
  }

  /**
   * Makes new keys; see `nexus.v1.ClientKeyService`.
   *
   * @param type undefined for every type that there is, or for P-256 where there is none
   * @throws FailedPrecondition CLIENT_KEY_ROTATING
   */
  async rotate(
    { type, isCompromised }: { readonly type: ClientKeyType | undefined; readonly isCompromised: boolean },
    principal: Principal,
  ): Promise<void> {
    const live = this.#live();
    const present = new Set(live.map((key) => key.type));
    const types: ReadonlySet<ClientKeyType> = type
      ? new Set([type])
      : present.size > 0
        ? present
        : new Set(["P-256"]);
    if (!isCompromised) for (const each of types) this.#refuseRotating(live, each);
    for (const each of types) await this.#make(each, principal, isCompromised ? "compromised" : "rotated");
  }

  #refuseRotating(live: readonly ClientKey[], type: ClientKeyType): void {
    const nowMs = this.deps.clock.nowMs();
    const next = live.find((key) => key.type === type && key.signsFromMs > nowMs);
    if (!next) return;
    throw new FailedPrecondition(
      "CLIENT_KEY_ROTATING",
      `key ${next.kid} of ${type} is published and signs from ${new Date(next.signsFromMs).toISOString()} on: rotate after that, or say that the present keys are compromised`,
    );
  }

  /** What is published now and opens. */
  #live(): ClientKey[] {
    const nowMs = this.deps.clock.nowMs();
    const keys = this.deps.store.clientKeys.list().filter(({ endsAtMs = Infinity }) => endsAtMs > nowMs);
    return keys.filter((key) => this.#opens(key));
  }

  #opens(key: ClientKey): boolean {
    if (this.#published.has(key.kid)) return true;
    try {
      this.#published.set(
        key.kid,
        publicJwkOf(this.deps.vault.openToken(clientKeyPlace(key.kid, key.createdAtMs), key.sealed)),
      );
      return true;
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      if (!this.#reported.has(key.kid))
        this.deps.log.error({ kid: key.kid }, "a client key cannot be opened: it is not published");
      this.#reported.add(key.kid);
      return false;
    }
  }

  #signing(type: ClientKeyType): ClientKey | undefined {
    return signingOf(this.#live(), type, this.deps.clock.nowMs());
  }

  async #eraseEnded(): Promise<void> {
    const { store, clock, log } = this.deps;
    const timeMs = clock.nowMs();
    const hasEnded = ({ endsAtMs = Infinity }: ClientKey): boolean => endsAtMs <= timeMs;
    if (!store.clientKeys.list().some(hasEnded)) return;
    const ended = await store.commit((tx) => {
      const keys = tx.clientKeys.list().filter(hasEnded);
      for (const { kid } of keys) {
        tx.clientKeys.remove(kid);
        tx.appendAudit({ timeMs, ...by(daemon), type: "client_key.ended", reason: kid });
      }
      return keys;
    });
    for (const { kid } of ended) {
      this.#published.delete(kid);
      log.info({ kid }, "erased a key that has proved the client for the last time");
    }
  }

  async #ensure(type: ClientKeyType): Promise<ClientKey> {
    if (!this.#signing(type)) await this.#making.run(type, () => this.#make(type, daemon, "first"));
    const key = this.#signing(type);
    if (!key) throw new DataLoss("the client key that was made cannot be read");
    return key;
  }

  async #make(
    type: ClientKeyType,
    principal: Principal,
    why: "first" | "rotated" | "compromised",
  ): Promise<void> {
    const { kid, privateKey } = await makeClientKeyPair(type);
    const { store, vault, clock, log } = this.deps;
    const nowMs = clock.nowMs();
    const sealed = vault.sealToken(clientKeyPlace(kid, nowMs), privateKey);
    const ended = await store.commit((tx) => {
      const others = tx.clientKeys.list().filter((key) => key.type === type);
      const waits = why === "rotated" && others.length > 0;
      const signsFromMs = waits ? nowMs + publishedBeforeMs : nowMs;
      const event = { timeMs: nowMs, ...by(principal) };
      const gone = endOthers(
        tx,
        others,
        nowMs,
        why === "compromised" ? nowMs : signsFromMs + publishedAfterMs,
      );
      tx.clientKeys.put({ kid, type, createdAtMs: nowMs, signsFromMs, endsAtMs: undefined, sealed });
      tx.appendAudit({ ...event, type: "client_key.made", reason: kid });
      for (const { kid: reason } of gone) tx.appendAudit({ ...event, type: "client_key.ended", reason });
      return gone;
    });
    for (const key of ended) this.#published.delete(key.kid);
    log.info({ kid, keyType: type, why, ended: ended.length }, "made a key that proves the client");
  }
}

/** Gives the others of a type their end, and erases those that have come to it. @returns those that were erased */
function endOthers(
  tx: Transaction,
  others: readonly ClientKey[],
  nowMs: number,
  endsAtMs: number,
): ClientKey[] {
  const ending = others.map((key) => ({ ...key, endsAtMs: Math.min(key.endsAtMs ?? endsAtMs, endsAtMs) }));
  const gone = ending.filter((key) => key.endsAtMs <= nowMs);
  for (const key of ending) {
    if (key.endsAtMs > nowMs) tx.clientKeys.put(key);
    else tx.clientKeys.remove(key.kid);
  }
  return gone;
}

/** The newest whose time has come; where the clock was set back before all of them, the first. */
function signingOf(live: readonly ClientKey[], type: ClientKeyType, nowMs: number): ClientKey | undefined {
  const ofType = live.filter((key) => key.type === type).sort((a, b) => a.signsFromMs - b.signsFromMs);
  return ofType.findLast((key) => key.signsFromMs <= nowMs) ?? ofType[0];
}
