import type { Clock } from "../runtime/clock.js";
import { SingleFlight } from "../runtime/single_flight.js";
import { OutboundError, type OutboundFetch } from "./outbound.js";

/** The largest sets seen hold 20 keys with their certificates, 50 KiB. */
const maxBytes = 256 * 1024;
const maxKeys = 100;
/** RFC 7518 section 3.3. Beyond the upper end, one verification costs milliseconds. */
const minRsaBits = 2048;
const maxRsaBits = 8192;
/** A set serves for so long: a key that was withdrawn is not believed longer. */
const freshMs = 5 * 60_000;
/** A key that the set does not know is looked for by one fetch in so much time: tokens with made-up key ids cost no more. */
const renewEveryMs = 60_000;
/** Fetches of one set, those that failed included, in a minute. */
const maxFetchesPerMinute = 6;

/** A public key as RFC 7517 writes it. */
export type PublicJwk = Readonly<Record<string, unknown>>;

export interface Jwks {
  readonly keys: readonly PublicJwk[];
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
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new JwksUnavailable("not JSON");
  }
  const keys = isObject(document) ? document["keys"] : undefined;
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

function isFit(key: PublicJwk): boolean {
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
  #renewedAtMs = Number.NEGATIVE_INFINITY;

  constructor(uri: string) {
    this.#uri = uri;
  }

  /** At most 5 minutes old. @throws JwksUnavailable */
  async get(fetch: OutboundFetch, clock: Clock): Promise<Jwks> {
    if (this.#known && clock.monotonicMs() - this.#known.atMs < freshMs) return this.#known.jwks;
    return await this.#fetch(fetch, clock);
  }

  /**
   * The set once more, because it did not verify a signature: its keys may have been rotated.
   *
   * @returns undefined when that was done less than a minute ago
   * @throws JwksUnavailable
   */
  async renew(fetch: OutboundFetch, clock: Clock): Promise<Jwks | undefined> {
    if (clock.monotonicMs() - this.#renewedAtMs < renewEveryMs) return undefined;
    this.#renewedAtMs = clock.monotonicMs();
    return await this.#fetch(fetch, clock);
  }

  #fetch(fetch: OutboundFetch, clock: Clock): Promise<Jwks> {
    return this.#flight.run("fetch", async () => {
      const nowMs = clock.monotonicMs();
      this.#fetchedAtMs = this.#fetchedAtMs.filter((atMs) => nowMs - atMs < 60_000);
      if (this.#fetchedAtMs.length >= maxFetchesPerMinute) throw new JwksUnavailable("fetched too often");
      this.#fetchedAtMs.push(nowMs);
      const jwks = processJwks(await sendJwksRequest(this.#uri, fetch));
      this.#known = { jwks, atMs: nowMs };
      return jwks;
    });
  }
}

async function sendJwksRequest(uri: string, fetch: OutboundFetch): Promise<string> {
  const headers = { accept: "application/json, application/jwk-set+json" };
  try {
    const response = await fetch(uri, { method: "GET", headers, maxBytes });
    if (response.status !== 200) throw new JwksUnavailable(`status ${response.status}`);
    return await response.text();
  } catch (fault) {
    if (fault instanceof OutboundError) throw new JwksUnavailable(fault.message);
    throw fault;
  }
}
