import type { Extension } from "../../core/registry.js";

/** The rarer ways to a token. A grant type is a file, and a row here. */
export const grants: Extension = {
  name: "grants",
  grantTypes: [
    { name: "jwt_bearer", load: async () => (await import("./jwt_bearer.js")).jwtBearerType },
    { name: "github_app", load: async () => (await import("./github_app.js")).githubAppType },
    {
      name: "identity_assertion",
      importsIdTokens: true,
      load: async () => (await import("./identity_assertion/identity_assertion.js")).identityAssertionType,
    },
  ],
  downscoping: async (parts) =>
    new (await import("./downscoping/downscoped_tokens.js")).DownscopedTokens(parts),
};
