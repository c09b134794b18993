import type { Extension } from "../../core/registry.js";
import { jwtSettings } from "./jwt_settings.js";

/** Callers that show a JWT of one issuer (`NEXUS_JWT_ISSUER`), as the pods of a Kubernetes cluster do. */
export const identity: Extension = {
  name: "identity",
  settings: jwtSettings,
  open: async ({ config, clock, log }, registry) => {
    const settings = jwtSettings.of(config);
    if (settings === undefined) return;
    const { openJwt } = await import("./jwt_verifier.js");
    registry.jwt(openJwt(settings, { clock, log }));
  },
};
