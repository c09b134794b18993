import type { Identity } from "../access/principal.js";
import type { SealedRecord, StaticCredential, TokenSet } from "../credentials/credential.js";
import { InvalidArgument } from "../errors.js";
import type { SignInNeed } from "./sign_in.js";

/** Where the sealed part of a request for consent lies. */
export interface AuthorizationKey {
  readonly connectionId: string;
  readonly providerId: string;
  readonly expiresAtMs: number;
}

/**
 * A request for consent. Until a person has answered it its key is the SHA-256 of `state`; one that was answered and waits for its
 * confirmation lies under the hash of its completion code.
 */
export interface PendingAuthorization extends AuthorizationKey {
  /** Version of the profile when it was requested: an edit in between ends the request. */
  readonly providerVersion: bigint;
  readonly scopes: readonly string[];
  readonly returnUrl: string | undefined;
  readonly redirectUri: string;
  readonly sealed: SealedRecord;
  /** The credential is to wait for its confirmation. */
  readonly requireConfirmation: boolean;
  /** Name of the principal that made the request; empty in records of older versions. */
  readonly requestedBy: string;
  /** For whom that one reported that it calls, see `Principal.onBehalfOf`; empty for itself. */
  readonly requestedFor: string;
  /** The consent was given: what is sealed holds the credential. */
  readonly held: boolean;
  readonly failedConfirmations: number;
  /** An API reported that scopes are missing (`Connection.stepUp`), or another sign-in: the user sees them first. */
  readonly isStepUp: boolean;
  /** Undefined where any sign-in is good. */
  readonly signIn?: SignInNeed | undefined;
  /** Of a device authorization: between two requests of the token; undefined for a consent in a browser. */
  readonly deviceIntervalMs?: number | undefined;
}

/** Who made it. */
export function requesterOf({ requestedBy, requestedFor }: PendingAuthorization): Identity {
  if (requestedFor === "") return { name: requestedBy };
  return { name: requestedBy, onBehalfOf: { name: requestedFor, restrictions: [] } };
}

/** Whether it is this caller's to confirm. */
export function isRequester(
  { requestedBy, requestedFor }: PendingAuthorization,
  { name, onBehalfOf }: Identity,
): boolean {
  return requestedBy === name && requestedFor === (onBehalfOf?.name ?? "");
}

/** What a consent brought and nobody has confirmed yet. */
export type HeldCredential = (
  | {
      readonly kind: "token_set";
      readonly tokenSet: TokenSet;
      /** To whom it was granted, see `grantBinding`; undefined in records of older versions. */
      readonly binding?: string | undefined;
      /** Values of the callback that the profile keeps. */
      readonly callbackMetadata: Readonly<Record<string, string>>;
    }
  | (StaticCredential & { readonly kind: "fields" })
) & { readonly receivedAtMs: number };

/** How long a person has to consent, and an application to confirm it. */
export const authorizationLifetimeMs = 10 * 60_000;

/**
 * Judges where a person's browser may be sent. The URL is parsed, compared by its origin with the allowlist, and
 * returned re-serialised, so that what is compared is what is sent.
 *
 * @param allowedOrigins origins as `URL.origin` writes them; `https://*.example.com` allows each host one label below
 * @throws InvalidArgument naming `return_url`
 */
export function checkReturnUrl(text: string, allowedOrigins: readonly string[]): string {
  const refuse = (description: string): never => {
    throw new InvalidArgument([{ field: "return_url", description }]);
  };
  // Separators, controls, formats (among them those that turn text around) and halves of characters.
  if (/[\p{Z}\p{C}\\]/u.test(text)) refuse("must not hold white space, control characters or backslashes");
  if (!URL.canParse(text)) return refuse("must be an absolute URL");
  // `https:host`, `https:/host` and `https:///host` mean different hosts to different parsers.
  if (!/^[a-z]+:\/\/[^/]/i.test(text)) refuse("must be written as scheme://host");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") refuse("must be an http or https URL");
  const authority = text.slice(text.indexOf("//") + 2).split(/[/?#]/, 1)[0] ?? "";
  if (authority.includes("@")) refuse("must not hold a user name or password");
  if (allowedOrigins.length === 0) {
    refuse("return URLs are off: set NEXUS_ALLOWED_RETURN_URLS to the origins that may be returned to");
  }
  const wildcard = url.origin.replace(/^https:\/\/[a-z0-9_-]+\./, "https://*.");
  const isAllowed = [url.origin, wildcard].some((origin) => allowedOrigins.includes(origin));
  if (!isAllowed || url.hostname.includes("*")) {
    refuse(`the origin ${url.origin} is not among NEXUS_ALLOWED_RETURN_URLS`);
  }
  return url.href;
}
