import type { Config } from "../config/config.js";
import type { AuthenticateOptions } from "../domain/access/authenticate.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";

/** What verifies JWTs; undefined, and nothing of it loaded, where no issuer is configured. */
export async function openJwt(
  { jwt }: Config,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<AuthenticateOptions["jwt"]> {
  if (jwt === undefined) return undefined;
  const [{ createAskIssuer }, { IssuerKeys }, { JwtVerifier }] = await Promise.all([
    import("../identity/ask_issuer.js"),
    import("../identity/issuer_keys.js"),
    import("../identity/jwt_verifier.js"),
  ]);
  const { issuer, audience, keys: source } = jwt;
  const configured = source.from === "url" ? source.url : issuer;
  const tokenOrigin = URL.canParse(configured) ? new URL(configured).origin : "";
  const ask = createAskIssuer({ ...jwt, clock, tokenOrigin });
  const keys = new IssuerKeys({ source, ask, clock, log });
  // An error of the settings shows in the log at the start, not at the first caller.
  keys.refresh();
  return new JwtVerifier({ issuer, audience, keys, clock, log });
}
