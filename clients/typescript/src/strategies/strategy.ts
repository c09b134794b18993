// Copied from src/model/credentials/strategy.ts by `npm run generate`; edit that.
/** How an agent applies the credentials of a connection to a request. The words are those of `nexus.v1.Strategy`. */
export type Strategy =
  | OAuth2Strategy
  | HeaderStrategy
  | QueryParamStrategy
  | BasicAuthStrategy
  | AwsSigV4Strategy
  | HmacPayloadStrategy;

export type StrategyKind = Strategy["kind"];

/** `{headerName}: {valuePrefix}{credentials[credentialField]}` (RFC 6750 section 2.1). */
export interface OAuth2Strategy {
  readonly kind: "oauth2";
  readonly headerName: string;
  readonly valuePrefix: string;
  readonly credentialField: string;
}

/** `{headerName}: {valuePrefix}{credentials[credentialField]}`. */
export interface HeaderStrategy {
  readonly kind: "header";
  readonly headerName: string;
  readonly valuePrefix: string;
  readonly credentialField: string;
}

/** `?{paramName}={credentials[credentialField]}`. */
export interface QueryParamStrategy {
  readonly kind: "query_param";
  readonly paramName: string;
  readonly credentialField: string;
}

/** RFC 7617; an empty password is legal. */
export interface BasicAuthStrategy {
  readonly kind: "basic_auth";
  readonly usernameField: string;
  readonly passwordField: string;
}

/** AWS Signature Version 4 with the fields `access_key`, `secret_key` and, optionally, `session_token`. */
export interface AwsSigV4Strategy {
  readonly kind: "aws_sigv4";
  readonly service: string;
  readonly region: string;
}

/** `{headerName}: encode(hmac(algo, credentials[secretField], body))`. */
export interface HmacPayloadStrategy {
  readonly kind: "hmac_payload";
  readonly headerName: string;
  readonly secretField: string;
  readonly algo: HmacAlgo;
  readonly encoding: HmacEncoding;
}

export const hmacAlgos = ["sha256", "sha1", "sha512"] as const;
export type HmacAlgo = (typeof hmacAlgos)[number];
export const hmacEncodings = ["hex", "base64"] as const;
export type HmacEncoding = (typeof hmacEncodings)[number];

export const bearerStrategy: OAuth2Strategy = {
  kind: "oauth2",
  headerName: "Authorization",
  valuePrefix: "Bearer ",
  credentialField: "access_token",
};

/** Of a token that is bound to a key (RFC 9449 section 7.1): it goes there and nowhere else, beside a proof. */
export function dpopStrategy(credentialField: string): OAuth2Strategy {
  return { kind: "oauth2", headerName: "Authorization", valuePrefix: "DPoP ", credentialField };
}

/** Whether requests need a proof beside the credential. */
export function needsProof(strategy: Strategy): boolean {
  return strategy.kind === "oauth2" && /^dpop *$/i.test(strategy.valuePrefix);
}
