const refusals = /\b(insufficient_scope|insufficient_user_authentication|invalid_token)\b/;

/** Whether an API refuses the credential, and not what it is used for (RFC 9110 section 15.5.2, RFC 6750 section 3.1, RFC 9470 section 3). */
export function refusesCredential(status: number, wwwAuthenticate: string): status is 401 | 403 {
  return status === 401 || (status === 403 && refusals.test(wwwAuthenticate));
}
