import { GrantFailure } from "./failure.js";

/** No assertion can be had for this person until the person has signed in at the identity provider. */
export class IdentityRequired extends GrantFailure {
  /** @param words the end of a sentence that says what to do */
  constructor(
    readonly words: string,
    fields: Pick<GrantFailure, "oauthError" | "httpStatus"> | Record<string, never> = {},
  ) {
    super({ kind: "invalid_grant", ...fields, detail: words });
  }
}

/** What the identity provider said, or did not, is told apart from what the profile's own server says. */
export function atIdentityProvider(failure: GrantFailure, name: string): GrantFailure {
  const { oauthError, httpStatus, kind } = failure;
  // RFC 9470 section 3: the person must prove more.
  if (kind === "invalid_grant" || oauthError === "insufficient_user_authentication") {
    const words = `the identity provider ${name} takes the id_token no more (${oauthError ?? httpStatus ?? "refused"}): connect ${name} again`;
    return new IdentityRequired(words, { oauthError, httpStatus });
  }
  const reported = failure.detail ?? failure.network?.words;
  const detail = `at the identity provider ${name}${reported === undefined ? "" : `: ${reported}`}`;
  return new GrantFailure({ ...failure, detail });
}
