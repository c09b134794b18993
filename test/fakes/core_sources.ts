import { GrantTypes, TokenSources } from "../../src/domain/token_endpoint/grant_types.js";

/** The grant types of the core alone. */
export const coreSources = new TokenSources({
  types: new GrantTypes(),
  store: { getConnection: () => undefined, getProvider: () => undefined },
  parts: () => ({}) as never,
});
