import { GrantFailure, type GrantFailureFields } from "../failure.js";

/** No assertion can be had for this person until the person has signed in at the identity provider. */
export class IdentityRequired extends GrantFailure {
  /** @param words the end of a sentence that says what to do */
  constructor(
    readonly words: string,
    fields: Partial<GrantFailureFields> = {},
  ) {
    super({ kind: "invalid_grant", ...fields, detail: words });
  }
}
