import * as oauth from "oauth4webapi";
import type { Clock } from "../../runtime/clock.js";
import type { Secret } from "../../runtime/secret.js";
import { keyPairOf } from "./dpop_key.js";

/** A request that a proof is made for. */
export interface ProvedRequest {
  readonly key: Secret;
  /** As it is sent; `htm` of the proof. */
  readonly method: string;
  /** Absolute; its query and fragment are no part of `htu` (RFC 9449 section 4.2). */
  readonly url: string;
  /** Sent with the proof: its hash is `ath`. */
  readonly accessToken: string;
  /** What the server requested last; undefined where it asked for none. */
  readonly nonce: string | undefined;
  readonly clock: Clock;
}

/** Claims of RFC 9449 section 4.2 that the library does not set as they are wanted. */
interface ProofClaims {
  readonly nonce: string | undefined;
  /** By default the method in upper case. */
  readonly htm?: string;
}

/**
 * The library's handle for proofs of a key by `clock`.
 *
 * @param claimsOf those of the next proof
 * @throws DataLoss when the key cannot be used
 */
export async function dpopHandle(
  key: Secret,
  clock: Clock,
  claimsOf: () => ProofClaims,
): Promise<oauth.DPoPHandle> {
  return oauth.DPoP({}, await keyPairOf(key), {
    [oauth.modifyAssertion]: (_header, payload) => {
      // The library reads the machine's clock. A claim that is undefined is left out of the JSON.
      Object.assign(payload, { iat: Math.floor(clock.nowMs() / 1000), ...claimsOf() });
    },
  });
}

/** A proof for one request of a protected resource (RFC 9449 section 7.1), with a `jti` of its own. @throws DataLoss */
export async function dpopProof({
  key,
  method,
  url,
  accessToken,
  nonce,
  clock,
}: ProvedRequest): Promise<string> {
  const handle = await dpopHandle(key, clock, () => ({ nonce, htm: method }));
  let proof: string | undefined;
  // The library makes proofs where it sends what they are for: this is sent nowhere.
  await oauth.protectedResourceRequest(accessToken, method, new URL(url), undefined, undefined, {
    DPoP: handle,
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: async (_url, { headers }) => {
      proof = headers["dpop"];
      return new Response();
    },
  });
  if (proof === undefined) throw new Error("the library made no proof");
  return proof;
}
