/** How an agent applies credentials to a request. Static types follow with their issue; until then there is one. */
export interface OAuth2Strategy {
  readonly kind: "oauth2";
  readonly headerName: string;
  readonly valuePrefix: string;
  readonly credentialField: string;
}

export type Strategy = OAuth2Strategy;

/** RFC 6750 section 2.1. */
export const bearerStrategy: Strategy = {
  kind: "oauth2",
  headerName: "Authorization",
  valuePrefix: "Bearer ",
  credentialField: "access_token",
};
