import * as oauth from "oauth4webapi";
import {
  type ClientCertificate,
  certificateEnded,
  pemOf,
  readClientCertificate,
} from "../model/clients/client_certificate.js";
import { plainOAuth2 } from "../model/providers/profile_fields.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import type { TokenEndpointAuthMethod } from "../model/providers/provider_profile.js";
import type { OutboundFetch } from "../outbound/outbound_fetch.js";
import { type Clock, SystemClock } from "../runtime/clock.js";
import type { Secret } from "../runtime/secret.js";
import {
  type AssertionKeySource,
  clientSecretJwt,
  type GivenAssertion,
  givenAssertion,
  type OwnKeySource,
  privateKeyJwt,
} from "./client_assertion.js";
import { GrantFailure } from "./failure.js";

/** The client as the provider knows it, its secret opened for one request. */
export interface OAuthClient {
  readonly clientId: string;
  /** Required unless `method` is `none`, or `private_key_jwt` with `ownKey`. */
  readonly clientSecret?: Secret | undefined;
  /** The key that the daemon made; for a client that signs and has none in its secret. */
  readonly ownKey?: OwnKeySource | undefined;
  readonly method: TokenEndpointAuthMethod;
  /** Of a client with `client_assertion_file`. */
  readonly assertion?: GivenAssertion | undefined;
  /** Of a client that proves itself in TLS: the requests are made with it (`presentingCertificate`). */
  readonly certificate?: ClientCertificate | undefined;
  /** What a client needs that signs; by default nothing beyond its key. */
  readonly signing?: OAuth2Options;
}

/** How far the clocks of provider and daemon may be apart when the times of an id_token, or of a signed response, are judged. */
export const clockToleranceSeconds = 30;

/**
 * RFC 6749 section 2.3.1: in the body, by Basic (both halves form-encoded), or none for a public client. RFC 7523 section 2.2: by a JWT.
 * RFC 8705 section 2: by `client_id`, and the certificate in TLS.
 *
 * @throws GrantFailure of kind `client` when the secret is missing, before anything is sent
 */
export function clientAuthentication(client: OAuthClient): oauth.ClientAuth {
  const { method, signing = plainOAuth2 } = client;
  switch (method) {
    case "none":
    case "tls_client_auth":
    case "self_signed_tls_client_auth":
      return oauth.None();
    case "client_secret_basic":
      return basicAuthentication(secretOf(client).reveal());
    case "client_secret_post":
      return oauth.ClientSecretPost(secretOf(client).reveal());
    case "client_secret_jwt":
      return clientSecretJwt(secretOf(client), signing);
    case "client_assertion_file":
      return givenAssertion(assertionOf(client));
    case "private_key_jwt":
      return privateKeyJwt(keySourceOf(client), signing);
  }
}

function assertionOf({ assertion }: OAuthClient): GivenAssertion {
  if (assertion === undefined) throw new GrantFailure({ kind: "client", oauthError: "invalid_client" });
  return assertion;
}

function secretOf({ clientSecret }: OAuthClient): Secret {
  if (clientSecret === undefined || clientSecret.reveal() === "")
    throw new GrantFailure({ kind: "client", oauthError: "invalid_client" });
  return clientSecret;
}

/** @throws GrantFailure of kind `client` when the client has no key */
export function keySourceOf({ clientSecret, ownKey }: OAuthClient): AssertionKeySource {
  const source = clientSecret ?? ownKey;
  if (source === undefined) throw new GrantFailure({ kind: "client", oauthError: "invalid_client" });
  return source;
}

/** Both halves form-encoded (RFC 6749 section 2.3.1). */
function basicAuthentication(secret: string): oauth.ClientAuth {
  return (_server, client, _body, headers) => {
    const pair = `${formEncoded(client.client_id)}:${formEncoded(secret)}`;
    headers.set("authorization", `Basic ${Buffer.from(pair, "utf8").toString("base64")}`);
  };
}

/**
 * Form-encoded (RFC 6749 appendix B), but for what a URL may hold as it is: `-._~` (RFC 3986 section 2.3), and `!*'()`. Encoded or not,
 * it is the same text to a server that decodes, and another to the many that do not. The library encodes all of them, the URL
 * Standard's serializer `~!'()`.
 */
function formEncoded(text: string): string {
  const encoded = new URLSearchParams([["", text]]).toString().slice(1);
  return encoded.replace(/%(?:7E|21|27|28|29)/g, decodeURIComponent);
}

/** The client for `oauth4webapi`, which reads the machine's clock: the skew makes it judge by `clock`. */
export function clientMetadata(client: OAuthClient, clock: Clock): oauth.Client {
  return {
    client_id: client.clientId,
    [oauth.clockSkew]: Math.round((clock.nowMs() - new SystemClock().nowMs()) / 1000),
    [oauth.clockTolerance]: clockToleranceSeconds,
  };
}

/**
 * The same fetch, whose requests to endpoints are made with the certificate of the client (RFC 8705 section 2). Keys of the server are
 * fetched without: there is nobody to prove anything to.
 *
 * The fetch throws GrantFailure of kind `client`, before anything is sent, when the certificate has ended or cannot be used.
 */
export function presentingCertificate(
  fetch: OutboundFetch,
  certificate: ClientCertificate | undefined,
  clock: Clock,
): OutboundFetch {
  if (certificate === undefined) return fetch;
  return async (url, request) => {
    if (request.method !== "POST") return await fetch(url, request);
    return await fetch(url, { ...request, clientCertificate: usable(certificate, clock.nowMs()) });
  };
}

function usable({ chain, privateKey }: ClientCertificate, nowMs: number): ClientCertificate {
  let why: string | undefined;
  try {
    why = certificateEnded(readClientCertificate(chain), nowMs);
    if (why === undefined) return { chain, privateKey: pemOf(privateKey) };
  } catch (error) {
    why = error instanceof Error ? error.message : "cannot be used";
  }
  const refusal = `the client certificate of the profile ${why}: put another one with its key into tls_client_certificate and client_secret`;
  throw new GrantFailure({ kind: "client", refusal });
}
