import type { Extension } from "../../core/registry.js";
import { jwtSettings } from "./jwt_settings.js";

/**
 * Callers that show a JWT of an issuer (`NEXUS_JWT_ISSUER`, `NEXUS_JWT_ISSUERS_FILE`), as the pods of a Kubernetes cluster do, and people who
 * sign in at one.
 */
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
    const issuers = await issuersOf(settings);
    registry.jwt(openJwt(issuers, { clock, log }));
    if (!issuers.some((issuer) => "signIn" in issuer && issuer.signIn !== undefined)) return;
    const { openSignIn } = await import("./sign_in/sign_ins.js");
    const { providerNetworks: networks, webProxies: proxies } = config;
    registry.signIn(openSignIn(issuers, { networks, proxies, clock, log }));
  },
};
