import { admin, at, owner, type Principal } from "../../model/access/principal.js";
import type { ApiKey } from "../../vault/api_key_file.js";
import type { ApiKeys } from "./api_keys.js";
import type { Authenticate, PresentedCredentials } from "./presented_credentials.js";

export interface AuthenticateOptions {
  readonly adminKey: ApiKey;
  readonly keys: Pick<ApiKeys, "verify">;
  /** Absent where no issuer is configured. */
  readonly jwt?:
    | { principalOf(token: string): Principal | undefined | Promise<Principal | undefined> }
    | undefined;
  /** User id that the daemon runs as; undefined where the platform has none. */
  readonly ownUid: number | undefined;
  /** Of a daemon that is one of several: a key that it does not know may have been made at another one a moment ago. */
  readonly member?: { readonly leads: boolean; catchUp(): Promise<void> } | undefined;
  nowMs(): number;
}

/** Three parts of base64url, the first of which begins with `{"`: no API key looks like that. */
const jwtShape = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

/**
 * Identifies a caller. A key or token that is presented decides. If it is not valid, the caller is unauthenticated: it does not fall back
 * to the owner of the socket or the subject of a certificate.
 */
export function authenticateBy(options: AuthenticateOptions): Authenticate {
  const { adminKey, keys, jwt, member, nowMs } = options;
  if (member === undefined) return authenticate;
  return (presented) => {
    const principal = authenticate(presented);
    if (principal !== undefined || member.leads || presented.token === undefined) return principal;
    return member.catchUp().then(() => authenticate(presented));
  };

  function authenticate(presented: PresentedCredentials): ReturnType<Authenticate> {
    const { token, origin } = presented;
    if (token === undefined) return principalOfPeer(presented, options);
    const known = keys.verify(token) ?? (adminKey.matches(token) ? admin : undefined);
    if (known) return at(known, origin);
    if (jwt === undefined || !jwtShape.test(token)) return undefined;
    const principal = jwt.principalOf(token);
    if (!(principal instanceof Promise)) return principal && at(principal, origin);
    return principal.then((found) => found && at(found, origin));
  }

  function principalOfPeer({ socket, origin, peer }: PresentedCredentials, { ownUid }: AuthenticateOptions) {
    if (socket === "unix") {
      const principal = principalOfUser(peer?.uid, ownUid);
      return principal && at(principal, origin);
    }
    const certificate = peer?.certificate;
    if (certificate === undefined || nowMs() >= certificate.notAfterMs) return undefined;
    const { name, notAfterMs } = certificate;
    return at({ name, kind: "certificate", expiresAtMs: notAfterMs }, origin);
  }
}

/** The superuser is no exception: that of another container of a pod shares the socket, and not the data folder. */
function principalOfUser(
  uid: number | "unknown" | undefined,
  ownUid: number | undefined,
): Principal | undefined {
  if (uid === "unknown") return undefined;
  if (uid === undefined || uid === ownUid) return owner;
  return { name: `uid:${uid}`, kind: "uid" };
}
