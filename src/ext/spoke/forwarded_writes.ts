import type { Membership } from "../../core/registry.js";
import { needsProof } from "../../model/credentials/credentials.js";
import { NotLeader } from "../../model/model.js";

/** What a spoke does not do itself: the services have a hub do it then. */
const never = (): never => {
  throw new NotLeader();
};

/** The hub alone knows its allowlist of return URLs, and how each connection's token is sent. */
export const forwardedWrites: NonNullable<Membership["forwardedWrites"]> = {
  links: {
    requests: { request: never, openRequest: never, pendingLink: never, checkReturnUrl: () => undefined },
    unattended: { profileFor: never, connect: never },
  },
  reports: { report: async () => never() },
  unboundTokens: (tokens) => ({
    getToken: async (...asked) => {
      const token = await tokens.getToken(...asked);
      return needsProof(token.strategy) ? never() : token;
    },
  }),
  withoutProfiles: (store) => ({
    getConnection: (id) => store.getConnection(id),
    getCredential: (id) => store.getCredential(id),
    getProvider: () => undefined,
  }),
};
