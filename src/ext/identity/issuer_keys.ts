import { readFile } from "node:fs/promises";
import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from "jose";
import { Unavailable } from "../../model/model.js";
import { type Clock, type Log, SingleFlight } from "../../runtime/runtime.js";
import { type AskIssuer, IssuerError } from "./ask_issuer.js";

/** Where the keys that sign the tokens are published. */
export type IssuerKeySource =
  | { readonly from: "file"; readonly path: string }
  | { readonly from: "url"; readonly url: string }
  /** OpenID Connect Discovery 1.0, section 4: `<issuer>/.well-known/openid-configuration` says where. */
  | { readonly from: "discovery"; readonly issuer: string };

export interface IssuerKeysDeps {
  readonly source: IssuerKeySource;
  readonly ask: AskIssuer;
  readonly clock: Clock;
  readonly log: Log;
}

/** How old the keys get before they are fetched again, in the background: a key that the issuer withdrew verifies no longer than that. */
export const maxAgeMs = 600_000;

/** Between two fetches at least, whatever tokens with unknown keys arrive meanwhile. */
export const cooldownMs = 30_000;

/** As long as there are no keys at all, as when the daemon starts before the network of its pod. */
const firstRetryMs = 1_000;

/** A file costs nothing to read, and a person who replaces it expects it to count soon. */
const fileAgeMs = 5_000;

/** Issuers publish two or three, the largest a dozen. */
const maxKeys = 100;

type LocalKeys = ReturnType<typeof createLocalJWKSet>;

/** The public keys of one issuer, fetched when a token needs them. */
export class IssuerKeys {
  readonly #flights = new SingleFlight<"load", void>();
  #keys: LocalKeys | undefined;
  #text = "";
  /** Counts the sets: what was verified by an older one must be verified again. */
  generation = 0;
  #loadedAtMs = Number.NEGATIVE_INFINITY;
  #triedAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: IssuerKeysDeps) {}

  /**
   * The key that a token names by `kid`. An unknown one is looked for once more at the issuer, if the last look is old enough.
   *
   * @throws Unavailable when no keys could be fetched yet; an error of jose when none fits
   */
  async keyFor(header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalKeys> {
    if (this.#keys === undefined) await this.#load();
    else this.refresh();
    try {
      return await this.#held()(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (!(await this.#load())) throw error;
      return await this.#held()(header, token);
    }
  }

  /** Fetches keys in the background when those at hand are old, which count until then. */
  refresh(): void {
    const { source, clock } = this.deps;
    const limitMs = source.from === "file" ? fileAgeMs : maxAgeMs;
    if (clock.monotonicMs() - this.#loadedAtMs >= limitMs) void this.#load();
  }

  #held(): LocalKeys {
    if (this.#keys === undefined)
      throw new Unavailable("the keys of the JWT issuer cannot be fetched at the moment", firstRetryMs);
    return this.#keys;
  }

  /** @returns whether a look was taken, which it is not within the cooldown */
  async #load(): Promise<boolean> {
    const { source, clock } = this.deps;
    const waitMs = this.#keys === undefined ? firstRetryMs : source.from === "file" ? fileAgeMs : cooldownMs;
    const isUnderWay = this.#flights.has("load");
    if (!isUnderWay && clock.monotonicMs() - this.#triedAtMs < waitMs) return false;
    if (!isUnderWay) this.#triedAtMs = clock.monotonicMs();
    await this.#flights.run("load", () => this.#replace());
    return true;
  }

  async #replace(): Promise<void> {
    const { source, clock, log } = this.deps;
    try {
      const document = await this.#fetchKeys();
      const text = JSON.stringify(document);
      if (text !== this.#text) {
        this.#keys = createLocalJWKSet(processKeySet(document));
        this.#text = text;
        this.generation++;
      }
      this.#loadedAtMs = clock.monotonicMs();
    } catch (error) {
      const reason = error instanceof IssuerError ? error.message : "the document is no JSON Web Key Set";
      log.warn(
        { from: source.from, reason },
        "the keys of the JWT issuer could not be fetched: the keys at hand stay in use",
      );
    }
  }

  async #fetchKeys(): Promise<unknown> {
    const { source, ask } = this.deps;
    if (source.from === "file") return await readKeyFile(source.path);
    if (source.from === "url") return await ask(source.url);
    const document = await ask(`${source.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    return await ask(processDiscovery(document, source.issuer));
  }
}

/** Section 4.3: the issuer of the document is identical to the one that was asked. */
function processDiscovery(document: unknown, issuer: string): string {
  const { issuer: found, jwks_uri: uri } = (document ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
  if (found !== issuer) throw new IssuerError("the discovery document is of another issuer");
  if (typeof uri !== "string") throw new IssuerError("the discovery document names no jwks_uri");
  return uri;
}

/** Symmetric keys are no public keys: every reader of the set could sign with them. */
function processKeySet(document: unknown): JSONWebKeySet {
  const { keys } = (document ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new IssuerError("the document holds no keys");
  if (keys.length > maxKeys) throw new IssuerError(`the document holds more than ${maxKeys} keys`);
  return { keys: keys.filter((key) => (key as { kty?: unknown } | null)?.kty !== "oct") };
}

async function readKeyFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as unknown;
  } catch (error) {
    throw new IssuerError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "not JSON"})`);
  }
}
