import type { Principal } from "../../model/access/principal.js";
import { FailedPrecondition } from "../../model/errors.js";
import { dpopProof } from "../../oauth/dpop/dpop_proof.js";
import type { Clock } from "../../runtime/clock.js";
import type { CurrentToken } from "../connections/connections.js";
import type { Tokens } from "./tokens.js";

/** Servers take a proof for some seconds after it was made: Keycloak, the strictest known, for 10. */
const proofLifetimeMs = 10_000;

/** The request of an agent that a proof is for. */
export interface ProofRequest {
  readonly connectionId: string;
  /** As it is sent. */
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  /** What the API requested last; undefined where it asked for none. */
  readonly nonce: string | undefined;
}

/** A proof of a connection's key (RFC 9449 section 4.2), for one request with the connection's current token. */
export interface TokenProof {
  readonly proof: string;
  /** After which servers may refuse it. */
  readonly expiresAtMs: number;
  /** Of the token that it goes with. */
  readonly revision: bigint;
}

/** Proofs for callers: each is on record as a read of the token that it goes with. */
export class TokenProofs {
  constructor(
    private readonly deps: {
      readonly tokens: Tokens;
      readonly clock: Clock;
    },
  ) {}

  /** @throws as `Tokens.getToken`; FailedPrecondition (TOKEN_NOT_BOUND) */
  async create(request: ProofRequest, principal: Principal): Promise<TokenProof> {
    const { tokens, clock } = this.deps;
    const token = await tokens.read(request.connectionId, 0, principal);
    const proof = await proofOf(token, request, clock);
    if (proof !== undefined) {
      return { proof, expiresAtMs: clock.nowMs() + proofLifetimeMs, revision: token.revision };
    }
    throw new FailedPrecondition(
      "TOKEN_NOT_BOUND",
      "the token of this connection is not bound to a key (token_type is not DPoP): send it without a proof",
    );
  }
}

/** Undefined for a token that is not bound. */
export async function proofOf(
  { dpopKey: key, credentials, strategy }: CurrentToken,
  { method, url, nonce }: Omit<ProofRequest, "connectionId">,
  clock: Clock,
): Promise<string | undefined> {
  if (!key || strategy.kind !== "oauth2") return undefined;
  const accessToken = credentials[strategy.credentialField] ?? "";
  return await dpopProof({ key, method, url, nonce, accessToken, clock });
}
