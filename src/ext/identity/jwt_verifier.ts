import { createHash } from "node:crypto";
import { decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import type { Principal } from "../../model/access/access.js";
import { NexusError } from "../../model/model.js";
import { BoundedMap, type Clock, type Log } from "../../runtime/runtime.js";
import { createAskIssuer } from "./ask_issuer.js";
import { IssuerKeys } from "./issuer_keys.js";
import type { NamedIssuer } from "./issuers_document.js";
import type { JwtConfig } from "./jwt_settings.js";

/** Who may vouch for callers, and for whom. */
export interface AcceptedIssuer extends Pick<JwtConfig, "issuer" | "audience"> {
  /** Begins the names of its callers. The issuer of the settings has none. */
  readonly name?: string;
  /** The claim that names the caller; `sub` when left out. */
  readonly subject?: string;
  /** What a token must say besides. */
  readonly claims?: NamedIssuer["claims"];
  /** Names of others: a caller of an issuer without a name is none of theirs. */
  readonly others?: readonly string[];
}

export interface JwtVerifierDeps extends AcceptedIssuer {
  readonly keys: IssuerKeys;
  readonly clock: Clock;
  readonly log: Log;
}

/** Signatures by a private key only: with `none` or a symmetric algorithm, everybody who knows the public key could sign (RFC 8725 section 3.1). */
const algorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** How far the issuer's clock may be ahead of ours. */
const leewayMs = 30_000;

const maxSubjectBytes = 255;

/** Tokens that were verified, so that a caller pays for its signature once. Each agent has one or two at a time. */
const maxVerified = 10_000;

interface Verified {
  readonly principal: Principal;
  readonly generation: number;
}

/** Callers by JSON Web Tokens of one issuer for one audience (RFC 7519, RFC 8725). */
export class JwtVerifier {
  /** By the digest of the token. */
  readonly #verified = new BoundedMap<string, Verified>(maxVerified);

  constructor(private readonly deps: JwtVerifierDeps) {}

  get issuer(): string {
    return this.deps.issuer;
  }

  /**
   * `jwt:<sub>`, or `jwt:<name>:<subject>`, until `exp`, at once for a token that was verified before; undefined for a token that is not valid.
   *
   * @throws Unavailable (as a rejection) when the keys of the issuer cannot be had
   */
  principalOf(token: string): Principal | undefined | Promise<Principal | undefined> {
    const { keys, clock } = this.deps;
    const digest = createHash("sha256").update(token).digest("base64");
    const known = this.#verified.get(digest);
    if (known === undefined || known.generation !== keys.generation) return this.#verify(token, digest);
    keys.refresh();
    if (clock.nowMs() < (known.principal.expiresAtMs ?? 0)) return known.principal;
    this.#verified.delete(digest);
    return undefined;
  }

  async #verify(token: string, digest: string): Promise<Principal | undefined> {
    const { issuer, audience, keys, clock, log } = this.deps;
    let generation = keys.generation;
    const keyFor: typeof keys.keyFor = async (header, input) => {
      const key = await keys.keyFor(header, input);
      generation = keys.generation;
      return key;
    };
    try {
      const { payload } = await jwtVerify(token, keyFor, {
        algorithms,
        issuer,
        audience,
        currentDate: new Date(clock.nowMs()),
        clockTolerance: leewayMs / 1000,
        requiredClaims: ["exp", this.deps.subject ?? "sub"],
      });
      const principal = processClaims(payload, this.deps, clock.nowMs());
      if (typeof principal !== "string") {
        this.#verified.set(digest, { principal, generation });
        return principal;
      }
      log.debug({ reason: principal }, "a JWT is not valid");
    } catch (error) {
      if (error instanceof NexusError) throw error;
      // Claims of the token are in the error: only its code is logged.
      log.debug(
        { reason: error instanceof errors.JOSEError ? error.code : "malformed" },
        "a JWT is not valid",
      );
    }
    this.#verified.delete(digest);
    return undefined;
  }
}

/** The checks that jose leaves to us: the leeway is for the beginning of a token, not for its end. */
function processClaims(payload: JWTPayload, accepted: AcceptedIssuer, nowMs: number): Principal | string {
  const { exp, iat } = payload;
  if (exp === undefined || exp * 1000 <= nowMs) return "it has expired";
  if (iat !== undefined && iat * 1000 > nowMs + leewayMs) return "it was issued in the future";
  const principal = principalOf(payload, accepted);
  return typeof principal === "string" ? principal : { ...principal, expiresAtMs: exp * 1000 };
}

/** Whom a token is of, once it is verified and its times are judged; or why it is of nobody whom the operator means. */
export function principalOf(
  payload: Readonly<Record<string, unknown>>,
  accepted: AcceptedIssuer,
): Principal | string {
  const { name, subject: claim = "sub", claims = {}, others = [] } = accepted;
  const subject = payload[claim];
  if (typeof subject !== "string" || subject === "") return "its subject is empty";
  const given = name === undefined ? subject : `${name}:${subject}`;
  if (Buffer.byteLength(given) > maxSubjectBytes)
    return `its subject is longer than ${maxSubjectBytes} bytes`;
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(subject)) return "its subject holds control characters";
  if (others.some((other) => subject.startsWith(`${other}:`)))
    return "its subject begins as those of another issuer";
  const lacking = Object.keys(claims).find((key) => !says(payload[key], claims[key]));
  if (lacking !== undefined) return `its claim ${lacking} is another one`;
  return { name: `jwt:${given}`, kind: "jwt" };
}

function says(claim: unknown, wanted: string | undefined): boolean {
  return Array.isArray(claim) ? claim.includes(wanted) : claim === wanted;
}

/** Callers of several issuers. */
class JwtVerifiers {
  constructor(private readonly all: readonly JwtVerifier[]) {}

  /** @throws Unavailable (as a rejection) when the keys of the issuer that the token names cannot be had */
  async principalOf(token: string): Promise<Principal | undefined> {
    const issuer = issuerIn(token);
    for (const verifier of this.all) {
      const principal = verifier.issuer === issuer ? await verifier.principalOf(token) : undefined;
      if (principal !== undefined) return principal;
    }
    return undefined;
  }
}

/** Whom the token names, before anything of it is verified. */
function issuerIn(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/**
 * Verifies the JWTs of the issuers that are configured. The one of the settings has no name. Where people sign in, a token proves nobody: it
 * is for the daemon as a client, and not for callers.
 */
export function openJwt(
  issuers: readonly (JwtConfig | NamedIssuer)[],
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Pick<JwtVerifier, "principalOf"> {
  const names = issuers.flatMap((issuer) => ("name" in issuer ? [issuer.name] : []));
  const ofCallers = issuers.filter((issuer) => !("signIn" in issuer && issuer.signIn !== undefined));
  const verifiers = ofCallers.map((config) => {
    const { issuer, keys: source } = config;
    const configured = source.from === "url" ? source.url : issuer;
    const tokenOrigin = URL.canParse(configured) ? new URL(configured).origin : "";
    const ask = createAskIssuer({ ...config, clock, tokenOrigin });
    const keys = new IssuerKeys({ source, ask, clock, log });
    // An error of the settings shows in the log at the start, not at the first caller.
    keys.refresh();
    const others = "name" in config ? [] : names;
    return new JwtVerifier({ ...config, keys, others, clock, log });
  });
  const [only] = verifiers;
  return only !== undefined && verifiers.length === 1 ? only : new JwtVerifiers(verifiers);
}
