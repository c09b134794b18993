import type { Principal } from "../model/access/principal.js";

/** Signs people in by a browser, at providers of OpenID Connect that the operator named. Where they come back to, and their session, is a page's. */
export interface SignIn {
  /** Where people can sign in, in the order of the file; at least one. */
  readonly clients: readonly SignInClient[];
  /**
   * Begins a sign-in (OpenID Connect Core 1.0 section 3.1.2.1). Nothing is kept of it but the binding.
   *
   * @param request `redirectUri` as it is registered at the issuer; `returnTo` comes back from `finish` as it was
   */
  begin(client: SignInClient, request: SignInRequest): Promise<BegunSignIn | SignInFailure>;
  /**
   * Judges what the browser brought back, and exchanges its code. A binding works once, whatever comes of it.
   *
   * @param response the query of the redirect (RFC 6749 section 4.1.2), and the binding of this browser
   */
  finish(client: SignInClient, response: SignInResponse): Promise<SignedIn | SignInFailure>;
}

/** The daemon as a client of one issuer. */
export interface SignInClient {
  /** Unique; lower-case letters, digits, and dashes. */
  readonly name: string;
  /** What people call the issuer. */
  readonly title: string;
  /** A URL. */
  readonly issuer: string;
}

export interface SignInRequest {
  readonly redirectUri: string;
  readonly returnTo: string;
}

export interface SignInResponse {
  readonly redirectUri: string;
  readonly query: URLSearchParams;
  /** Undefined where the browser shows none. */
  readonly binding: string | undefined;
}

export interface BegunSignIn {
  readonly kind: "begun";
  /** Where the browser goes. */
  readonly url: string;
  /** For a cookie that scripts cannot read: it ties the response to this browser. */
  readonly binding: string;
  readonly bindingLifeMs: number;
}

export interface SignedIn {
  readonly kind: "signed_in";
  /** Ends with the session that it may have. What it may do is for the policy. */
  readonly principal: Principal & { readonly expiresAtMs: number };
  readonly returnTo: string;
}

export interface SignInFailure {
  readonly kind: "failed";
  readonly why: SignInFailureReason;
  /** Whom the issuer vouched for, of `no_claims`. */
  readonly subject?: string;
}

export type SignInFailureReason =
  /** The browser has no binding, or one that was used, has expired, or belongs to another response. */
  | "over"
  /** The issuer says no, or the person did. */
  | "declined"
  /** The response, the issuer's answer, or its id_token fails a check of the protocol. The log says which. */
  | "rejected"
  /** The issuer, or the file with the client secret, cannot be reached or used at the moment. */
  | "unavailable"
  /** The issuer vouches for the person, whose claims are none that the operator named. */
  | "no_claims"
  /** Too many are being finished. */
  | "busy";
