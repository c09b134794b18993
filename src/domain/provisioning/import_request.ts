import {
  FailedPrecondition,
  type FieldViolation,
  InvalidArgument,
  type NexusError,
  Unavailable,
} from "../../model/errors.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { GrantFailure } from "../../oauth/failure.js";
import type { Secret } from "../../runtime/secret.js";

/** A credential of another system. */
export interface ImportRequest {
  readonly userId: string;
  /** Of the connection's name; empty for none. */
  readonly label: string;
  readonly providerId: string;
  /** For `oauth2`; or the other. */
  readonly refreshToken: Secret | undefined;
  readonly idToken: Secret | undefined;
  /** Of a provider that issues no refresh token. */
  readonly accessToken?: Secret | undefined;
  /** When the access token expires; undefined for never. */
  readonly expiresAtMs?: number | undefined;
  /** What the connection is called in another system; undefined for a new id. */
  readonly id?: string | undefined;
  /** For static types. */
  readonly fields: Readonly<Record<string, string>>;
  /** Scopes that were granted; empty means the profile's defaults. */
  readonly scopes: readonly string[];
}

/** @throws InvalidArgument when the request holds not just what the type of the profile wants */
export function checkImportRequest(profile: ProviderProfile, request: ImportRequest): void {
  const violations: FieldViolation[] = [];
  if (isUnattended(profile)) {
    const description = `names a provider of the grant type ${profile.grantType}, which has nothing to import: RequestConnection mints its token`;
    throw new InvalidArgument([{ field: "provider_id", description }]);
  }
  const isStatic = profile.authType !== "oauth2";
  const hasFields = Object.keys(request.fields).length > 0;
  if (request.userId === "") violations.push({ field: "user_id", description: "is required" });
  const tokens = {
    refresh_token: request.refreshToken,
    id_token: request.idToken,
    access_token: request.accessToken,
  };
  for (const [field, token] of Object.entries(tokens)) {
    if (isStatic && token !== undefined)
      violations.push({ field, description: `is for oauth2, not for ${profile.authType}` });
  }
  if (request.idToken !== undefined && request.refreshToken !== undefined)
    violations.push({ field: "id_token", description: "must be empty beside refresh_token" });
  if (request.accessToken && (request.refreshToken || request.idToken))
    violations.push({
      field: "access_token",
      description: "must be empty beside refresh_token and id_token",
    });
  if (request.expiresAtMs !== undefined && !request.accessToken)
    violations.push({ field: "access_token_expires_at", description: "is for access_token" });
  if (request.id !== undefined && request.idToken)
    violations.push({ field: "id", description: "must be empty beside id_token" });
  if (request.idToken !== undefined && !isStatic && profile.issuer === "")
    violations.push({ field: "id_token", description: "needs a profile with an issuer to compare it with" });
  if (!isStatic && hasFields)
    violations.push({ field: "credentials", description: "are for static types, not for oauth2" });
  if (!isStatic && Object.values(tokens).every((token) => token === undefined)) {
    violations.push({ field: "refresh_token", description: "is required for oauth2" });
  }
  if (isStatic && !hasFields) {
    violations.push({ field: "credentials", description: `are required for ${profile.authType}` });
  }
  if (violations.length > 0) throw new InvalidArgument(violations);
}

interface ImportFailure {
  /** For the caller. */
  readonly failure: NexusError;
  /** For the audit log. */
  readonly reason: string;
  /** Whether no other attempt can succeed. */
  readonly isFinal: boolean;
}

/** What the failed proof of an imported token means. After a crash a refusal may be the answer to the token's second use. */
export function importFailure(failure: GrantFailure, mode: "first" | "resumed"): ImportFailure {
  switch (failure.kind) {
    case "invalid_grant":
      return {
        failure: new FailedPrecondition(
          "CREDENTIAL_REJECTED",
          "the provider refuses the refresh token",
          failure,
        ),
        reason: mode === "first" ? "credential_rejected" : "outcome_unknown",
        isFinal: true,
      };
    case "client":
      return {
        failure: new FailedPrecondition(
          "PROVIDER_MISCONFIGURED",
          failure.refusal ??
            `the provider refuses the client of the profile${failure.oauthError === undefined ? "" : ` (${failure.oauthError})`}`,
          failure,
        ),
        reason: "provider_misconfigured",
        isFinal: false,
      };
    case "transient":
      return {
        failure: new Unavailable(
          "the provider could not check the refresh token",
          failure.retryAfterMs,
          failure,
        ),
        reason: "provider_unavailable",
        isFinal: false,
      };
    case "ambiguous":
    case "rejected":
      return {
        failure: new Unavailable(
          "the provider returned no usable response, but may have replaced the refresh token",
          undefined,
          failure,
        ),
        reason: "outcome_unknown",
        isFinal: false,
      };
  }
}
