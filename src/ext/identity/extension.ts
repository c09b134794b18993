import type { Extension } from "../../core/registry.js";
import { jwtSettings } from "./jwt_settings.js";

/** Callers that show a JWT of an issuer (`NEXUS_JWT_ISSUER`, `NEXUS_JWT_ISSUERS_FILE`), as the pods of a Kubernetes cluster do. */
export const identity: Extension = {
  name: "identity",
  settings: jwtSettings,
  open: async ({ config, clock, log }, registry) => {
    const settings = jwtSettings.of(config);
    if (settings === undefined) return;
    const [{ openJwt }, { issuersOf }] = await Promise.all([
      import("./jwt_verifier.js"),
      import("./issuers_file.js"),
    ]);
    registry.jwt(openJwt(await issuersOf(settings), { clock, log }));
  },
};
