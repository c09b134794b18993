import type { SealedRecord } from "./credential.js";

export const registrationKinds = ["metadata_document", "dynamic"] as const;

/** A client that the daemon made known at an authorization server. It is never presented to another one. */
export interface ClientRegistration {
  /** By a document that it serves, or dynamically (RFC 7591). */
  readonly kind: (typeof registrationKinds)[number];
  /** At which authorization server; the origin of one that publishes no issuer. */
  readonly issuer: string;
  readonly registeredAtMs: number;
  /** When the client secret ends (RFC 7591 section 3.2.1). */
  readonly secretExpiresAtMs: number | undefined;
  /** Client configuration endpoint (RFC 7592); undefined where the server has none. */
  readonly configurationUrl: string | undefined;
  readonly accessToken: SealedRecord | undefined;
}
