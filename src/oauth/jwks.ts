import { parseJsonObject } from "../model/json_object.js";
import { OutboundError, type OutboundFetch } from "../outbound/outbound_fetch.js";
import type { Clock } from "../runtime/clock.js";
import { SingleFlight } from "../runtime/single_flight.js";

/** The largest sets seen hold 20 keys with their certificates, 50 KiB. */
const maxBytes = 256 * 1024;
const maxKeys = 100;
/** RFC 7518 section 3.3. Beyond the upper end, one verification costs milliseconds. */
const minRsaBits = 2048;
const maxRsaBits = 8192;
/** A set serves for so long: a key that was withdrawn is not believed longer. */
const freshMs = 5 * 60_000;
/** One key is looked for by one fetch in so much time. */
const renewEveryMs = 60_000;
/** Fetches of one set, those that failed included, in a minute. */
const maxFetchesPerMinute = 6;
/** From so many fetches on, none is made to look for a key: tokens with made-up key ids leave one for a set that grew old. */
const maxRenewalsPerMinute = maxFetchesPerMinute - 1;

/** A public key as RFC 7517 writes it. */
export type AnyJwk = Readonly<Record<string, unknown>>;

export interface Jwks {
  readonly keys: readonly AnyJwk[];
  /** `kid` of the keys that were left out for their strength or kind. */
  readonly refusedKeyIds: readonly string[];
}

/** There is no set of keys to verify with. */
export class JwksUnavailable extends Error {
  constructor(why: string) {
    super(`the keys of the provider cannot be had: ${why}`);
    this.name = "JwksUnavailable";
  }
}

/**
 * Judges a set of keys (RFC 7517 section 5): what is not fit to verify a signature of a provider is left out, as unknown members of a
 * set are.
 *
 * @throws JwksUnavailable when it is no set, or one of more than 100 keys
 */
export function processJwks(text: string): Jwks {
  const keys = parseJsonObject(text)?.["keys"];
  if (!Array.isArray(keys)) throw new JwksUnavailable("not a set of keys");
  if (keys.length > maxKeys) throw new JwksUnavailable(`more than ${maxKeys} keys`);
  const objects = keys.filter(isObject);
  return {
    keys: objects.filter(isFit),
    refusedKeyIds: objects.flatMap((key) => {
      const { kid } = key;
      return isFit(key) || typeof kid !== "string" ? [] : [kid];
    }),
  };
}

function isFit(key: AnyJwk): boolean {
  // A key whose private half, or whose secret, is published proves nothing.
  if ("d" in key || "k" in key) return false;
  switch (key["kty"]) {
    case "RSA":
      return isStrongRsa(key["n"], key["e"]);
    case "EC":
      return ["P-256", "P-384", "P-521"].includes(String(key["crv"]));
    case "OKP":
      return key["crv"] === "Ed25519";
    default:
      return false;
  }
}

function isStrongRsa(modulus: unknown, exponent: unknown): boolean {
  const n = bigint(modulus, maxRsaBits);
  const e = bigint(exponent, 64);
  if (n === undefined || e === undefined) return false;
  const bits = n.toString(2).length;
  return bits >= minRsaBits && bits <= maxRsaBits && n % 2n === 1n && e >= 3n && e % 2n === 1n;
}

/** RFC 7518 section 6.3.1: Base64urlUInt. */
function bigint(text: unknown, maxBits: number): bigint | undefined {
  if (typeof text !== "string" || !/^[\w-]+$/.test(text) || text.length > maxBits / 4) return undefined;
  return BigInt(`0x${Buffer.from(text, "base64url").toString("hex") || "0"}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The keys of one provider, fetched when they are needed and no more often than the limits say. */
export class KeySet {
  readonly #uri: string;
  readonly #flight = new SingleFlight<"fetch", Jwks>();
  #known: { readonly jwks: Jwks; readonly atMs: number } | undefined;
  #fetchedAtMs: number[] = [];
  /** When a key was looked for and the set could be had, by the key's id; of the last minute, so at most as many as fetches. */
  readonly #soughtAtMs = new Map<string, number>();

  constructor(uri: string) {
    this.#uri = uri;
  }

  /** At most 5 minutes old. @throws JwksUnavailable */
  async get(fetch: OutboundFetch, clock: Clock): Promise<Jwks> {
    if (this.#known && clock.monotonicMs() - this.#known.atMs < freshMs) return this.#known.jwks;
    return await this.#fetch(fetch, clock);
  }

  /**
   * The set once more, because `tried` did not verify a signature: its keys may have been rotated.
   *
   * @param keyId `kid` of the token; undefined when it names none
   * @returns undefined when this key was looked for less than a minute ago, or there were too many fetches
   * @throws JwksUnavailable
   */
  async renew(
    tried: Jwks,
    keyId: string | undefined,
    fetch: OutboundFetch,
    clock: Clock,
  ): Promise<Jwks | undefined> {
    // A fetch that is under way began before this key was missed: it may bring the key, and need not.
    if (this.#flight.has("fetch")) await this.#fetch(fetch, clock);
    const known = this.#known?.jwks;
    if (known && known !== tried && (keyId === undefined || holdsKey(known, keyId))) return known;
    if (this.#flight.has("fetch")) return await this.#fetch(fetch, clock);

    const nowMs = clock.monotonicMs();
    for (const [id, atMs] of this.#soughtAtMs) if (nowMs - atMs >= renewEveryMs) this.#soughtAtMs.delete(id);
    const sought = keyId ?? "";
    if (this.#soughtAtMs.has(sought) || this.#fetchesLately(nowMs) >= maxRenewalsPerMinute) return undefined;
    this.#soughtAtMs.set(sought, nowMs);
    try {
      return await this.#fetch(fetch, clock);
    } catch (violation) {
      this.#soughtAtMs.delete(sought);
      throw violation;
    }
  }

  #fetchesLately(nowMs: number): number {
    this.#fetchedAtMs = this.#fetchedAtMs.filter((atMs) => nowMs - atMs < 60_000);
    return this.#fetchedAtMs.length;
  }

  #fetch(fetch: OutboundFetch, clock: Clock): Promise<Jwks> {
    return this.#flight.run("fetch", async () => {
      const nowMs = clock.monotonicMs();
      if (this.#fetchesLately(nowMs) >= maxFetchesPerMinute) throw new JwksUnavailable("fetched too often");
      this.#fetchedAtMs.push(nowMs);
      const jwks = processJwks(await sendJwksRequest(this.#uri, fetch));
      this.#known = { jwks, atMs: nowMs };
      return jwks;
    });
  }
}

/** Whether a key of this id is in the set, fit or not. */
export function holdsKey({ keys, refusedKeyIds }: Jwks, keyId: string): boolean {
  return refusedKeyIds.includes(keyId) || keys.some(({ kid }) => kid === keyId);
}

async function sendJwksRequest(uri: string, fetch: OutboundFetch): Promise<string> {
  const headers = { accept: "application/json, application/jwk-set+json" };
  try {
    const response = await fetch(uri, { method: "GET", headers, maxBytes });
    if (response.status !== 200) throw new JwksUnavailable(`status ${response.status}`);
    return await response.text();
  } catch (violation) {
    if (violation instanceof OutboundError) throw new JwksUnavailable(violation.message);
    throw violation;
  }
}
