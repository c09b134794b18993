/** What a provider needs beyond the RFCs, declared and not guessed. The defaults are the RFCs' own. */
export interface OAuth2Options {
  /** Between scopes in the authorization request; RFC 6749 section 3.3 says a space. */
  readonly scopeSeparator: string;
  /** Further parameters of the code exchange. */
  readonly tokenParams: Readonly<Record<string, string>>;
  /** Further parameters of the refresh grant. */
  readonly refreshParams: Readonly<Record<string, string>>;
  /** Further headers of both token requests. */
  readonly tokenHeaders: Readonly<Record<string, string>>;
  /** Encoding of both token requests; RFC 6749 says a form. */
  readonly tokenRequestFormat: "form" | "json";
  /** Token endpoint for refreshes; empty means the same as for the code. */
  readonly refreshUrl: string;
  /** Revocation endpoint (RFC 7009); empty means the discovered one, or none. */
  readonly revocationUrl: string;
  /** Dotted path of the token object in the answer, such as `authed_user`; empty means the root. A refresh may answer at the root. */
  readonly tokenResponsePath: string;
  /** Name of the field with the lifetime in seconds, or with the instant of expiry, when it is not `expires_in`. */
  readonly lifetimeField: string;
  /** Lifetime of a token whose answer says none. */
  readonly defaultLifetimeMs: number | undefined;
  /** The provider rejects `code_challenge`: the only exception to PKCE always. */
  readonly omitPkce: boolean;
  /** Leave `scope` out of the authorization request. */
  readonly skipScopeOnAuth: boolean;
  /** Leave `scope` out of the code exchange. It is never sent there by default; kept for the existing contract. */
  readonly skipScopeOnExchange: boolean;
  /** Values of the callback to keep as connection metadata. */
  readonly callbackMetadata: readonly string[];
  /** Values of the token answer to keep as connection metadata. */
  readonly tokenMetadata: readonly string[];
  /** Answers to a refresh that mean `invalid_grant`: a value of `error`, or `path=value`. */
  readonly invalidGrantAliases: readonly string[];
}

export const plainOAuth2: OAuth2Options = {
  scopeSeparator: " ",
  tokenParams: {},
  refreshParams: {},
  tokenHeaders: {},
  tokenRequestFormat: "form",
  refreshUrl: "",
  revocationUrl: "",
  tokenResponsePath: "",
  lifetimeField: "",
  defaultLifetimeMs: undefined,
  omitPkce: false,
  skipScopeOnAuth: false,
  skipScopeOnExchange: false,
  callbackMetadata: [],
  tokenMetadata: [],
  invalidGrantAliases: [],
};
