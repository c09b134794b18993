/** Error words about a proof, and not about the grant (RFC 9449 sections 5 and 8). */
export const dpopCodes: ReadonlySet<string> = new Set(["use_dpop_nonce", "invalid_dpop_proof"]);

/** What an access token is that came although no key was proved. */
export const boundToken = "the access token is bound to a key (DPoP, RFC 9449), and the request proved none";
/** What an access token is not, where the profile demands it. */
export const unboundToken = "the access token is not bound to the key (DPoP), which the profile demands";
