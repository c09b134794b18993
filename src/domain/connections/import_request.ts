import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
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
  const tokens = { refresh_token: request.refreshToken, id_token: request.idToken };
  for (const [field, token] of Object.entries(tokens)) {
    if (isStatic && token !== undefined)
      violations.push({ field, description: `is for oauth2, not for ${profile.authType}` });
  }
  if (request.idToken !== undefined && request.refreshToken !== undefined)
    violations.push({ field: "id_token", description: "must be empty beside refresh_token" });
  if (request.idToken !== undefined && !isStatic && profile.issuer === "")
    violations.push({ field: "id_token", description: "needs a profile with an issuer to compare it with" });
  if (!isStatic && hasFields)
    violations.push({ field: "credentials", description: "are for static types, not for oauth2" });
  if (!isStatic && request.refreshToken === undefined && request.idToken === undefined) {
    violations.push({ field: "refresh_token", description: "is required for oauth2" });
  }
  if (isStatic && !hasFields) {
    violations.push({ field: "credentials", description: `are required for ${profile.authType}` });
  }
  if (violations.length > 0) throw new InvalidArgument(violations);
}
