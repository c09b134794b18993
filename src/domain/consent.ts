/** What the browser door must do after `/auth/start`. */
export type StartOutcome =
  | {
      readonly kind: "redirect";
      /** The provider's authorization endpoint with the authorization request. */
      readonly location: string;
      /** The cookie that binds this browser; the door decides prefix and attributes. */
      readonly binding: { readonly name: string; readonly value: string; readonly maxAgeSeconds: number };
    }
  | ConsentFailure;

/** What the browser door must do after `/auth/callback`. */
export type FinishOutcome =
  | { readonly kind: "return"; readonly location: string }
  | { readonly kind: "done"; readonly providerName: string }
  | ConsentFailure;

/** A page that says what went wrong; `status` is the HTTP status. */
export interface ConsentFailure {
  readonly kind: "failure";
  readonly status: 400 | 404 | 410 | 502 | 503;
  /** A stable word. */
  readonly reason: string;
  /** One sentence for a person. Never text of the provider. */
  readonly message: string;
}

/** The consent flow as the browser door sees it. */
export interface ConsentFlow {
  /** Idempotent: a prefetch or a reload consumes nothing. */
  start(state: string): Promise<StartOutcome>;
  /**
   * Consumes the state.
   *
   * @param query the query of the callback, exactly as received
   * @param cookie reads a cookie of the request by the name given in `binding.name`
   * @param origin address of the visitor's socket, for the audit log
   */
  finish(
    query: URLSearchParams,
    cookie: (name: string) => string | undefined,
    origin: string | undefined,
  ): Promise<FinishOutcome>;
}
