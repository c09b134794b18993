import type { Extension } from "../../cli/shell/shell.js";

/** Callers that show a JWT of one issuer (`NEXUS_JWT_ISSUER`), as the pods of a Kubernetes cluster do. */
export const identity: Extension = {
  name: "identity",
  open: async ({ options: { config, clock, log } }) =>
    config.jwt && { jwt: (await import("./jwt_verifier.js")).openJwt(config.jwt, { clock, log }) },
};
