import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { credentialValue, type ReadCredential } from "../../cli/kit.js";

/** What HTTP Basic carries (RFC 7617 section 2). */
export interface Login {
  readonly username: string;
  readonly password: string;
  /** Of the password; undefined when it is not known. */
  readonly expiresAt: Timestamp | undefined;
}

/**
 * The user names that hosts want beside an access token as the password. Where none is wanted any name does: GitHub and Gitea read the
 * password alone, and GitLab asks for `oauth2`.
 */
const tokenUsers: readonly (readonly [host: RegExp, username: string])[] = [
  [/^bitbucket\.org$/, "x-token-auth"],
  [/^(.+\.)?gcr\.io$|\.pkg\.dev$/, "oauth2accesstoken"],
  [/\.azurecr\.io$/, "00000000-0000-0000-0000-000000000000"],
];
const anyTokenUser = "oauth2";

/**
 * The user name and password of a credential at a host: its own two of `basic_auth`, else its value as the password.
 *
 * @param host without a port
 * @param username instead of what the host wants beside a token
 * @throws CommandFailure when it has no single value
 */
export function loginOf(credential: ReadCredential, host: string, username?: string): Login {
  const { strategy, credentials, expiresAt } = credential.token;
  if (strategy?.kind.case === "basicAuth" && credential.field === undefined) {
    const { usernameField, passwordField } = strategy.kind.value;
    return {
      username: credentials[usernameField] ?? "",
      password: credentials[passwordField] ?? "",
      expiresAt,
    };
  }
  const { value, expiresAt: valueExpiresAt } = credentialValue(credential);
  const wanted = tokenUsers.find(([pattern]) => pattern.test(host.toLowerCase()))?.[1] ?? anyTokenUser;
  return { username: username ?? wanted, password: value, expiresAt: valueExpiresAt };
}
