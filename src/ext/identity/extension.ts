import type { Extension } from "../../cli/kit.js";
import { jwtSettings } from "./jwt_settings.js";

/** Callers that show a JWT of one issuer (`NEXUS_JWT_ISSUER`), as the pods of a Kubernetes cluster do. */
export const identity: Extension = {
  name: "identity",
  settings: jwtSettings,
  open: async ({ options: { config, clock, log } }) => {
    const settings = jwtSettings.of(config);
    return settings && { jwt: (await import("./jwt_verifier.js")).openJwt(settings, { clock, log }) };
  },
};
