import type { GrantParts, GrantType, TokenSource } from "../../../domain/token_endpoint/token_endpoint.js";
import { namePattern } from "../../../model/providers/providers.js";
import { GrantFailure } from "../../../oauth/oauth.js";
import { presentIdJag } from "./id_jag.js";
import { IdTokenImporter } from "./id_token_importer.js";
import { IdentityAssertions } from "./identity_assertions.js";
import { IdentitySubjects } from "./identity_subjects.js";

/** Identity Assertion JWT Authorization Grant: the company's identity provider, where the user signed in once, issues the grant. */
export const identityAssertionType: GrantType = {
  hasIdentityProvider: true,
  violations: ({ issuer, identityProvider, name }, violation) => {
    if (issuer === "")
      violation("issuer", "is required with the grant type identity_assertion: the assertion is for it");
    if (!namePattern.test(identityProvider))
      violation(
        "identity_provider",
        "is required with the grant type identity_assertion: the name of a profile",
      );
    else if (identityProvider === name) violation("identity_provider", "must be another profile");
  },
  open,
};

function open(parts: GrantParts): TokenSource {
  const subjects = new IdentitySubjects(parts);
  const assertions = new IdentityAssertions({ ...parts, subjects });
  const importer = new IdTokenImporter(parts);
  return {
    basis: subjects,
    importIdToken: (...request) => importer.import(...request),
    /** The same assertion until it ends; one that is refused before is followed by another, once. */
    renew: async (common, request) => {
      const { scopes } = request;
      const { assertion, isFresh } = await assertions.current(request);
      try {
        return await presentIdJag({ ...common, scopes, assertion });
      } catch (error) {
        const isRefused = error instanceof GrantFailure && error.kind === "invalid_grant";
        if (!isRefused || isFresh) throw error;
        return await presentIdJag({ ...common, scopes, assertion: await assertions.renewed(request) });
      }
    },
  };
}
