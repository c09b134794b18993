import type { CredentialReaderDeps } from "../../domain/credentials/credential_reader.js";
import type { TokenAcquirerDeps } from "../../domain/tokens/acquire/token_acquirer.js";
import type { RejectedTokens } from "../../domain/tokens/report/rejected_tokens.js";
import type { Tokens } from "../../domain/tokens/tokens.js";
import { needsProof } from "../../model/credentials/strategy.js";
import { NotLeader } from "../../model/errors.js";

/** What a spoke does not do itself: the services have a hub do it then. */
const never = (): never => {
  throw new NotLeader();
};

/** What makes links and connections. The hub alone knows its allowlist of return URLs. */
export const linksElsewhere: Pick<TokenAcquirerDeps, "requests" | "unattended"> = {
  requests: { request: never, openRequest: never, pendingLink: never, checkReturnUrl: () => undefined },
  unattended: { profileFor: never, connect: never },
};

/** What acts on a report. */
export const reportsElsewhere: Pick<RejectedTokens, "report"> = { report: async () => never() };

/** Tokens without a key beside them, which the hub keeps. */
export function unboundTokens(tokens: Tokens): Pick<Tokens, "getToken"> {
  return {
    getToken: async (...asked) => {
      const token = await tokens.getToken(...asked);
      return needsProof(token.strategy) ? never() : token;
    },
  };
}

/** As the hub says how each connection's token is sent, that of its profile counts for nothing. */
export function withoutProfiles(store: CredentialReaderDeps["store"]): CredentialReaderDeps["store"] {
  return {
    getConnection: (id) => store.getConnection(id),
    getCredential: (id) => store.getCredential(id),
    getProvider: () => undefined,
  };
}
