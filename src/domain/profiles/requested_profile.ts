import type { Connection } from "../../model/connections/connection.js";
import { maxScopes } from "../../model/connections/step_up.js";
import { FailedPrecondition, InvalidArgument, NotFound } from "../../model/errors.js";
import type { ProviderKey, ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Store } from "../../store/store.js";

/** How a request for consent names its provider, and for whom it is. */
interface Named {
  readonly userId: string;
  readonly label?: string;
  readonly provider: ProviderKey | undefined;
}

/** The profile that a request for a new connection names. @throws InvalidArgument, NotFound */
export function profileNamed(store: Store, { provider: key }: Named): ProviderProfile {
  if (!key) {
    throw new InvalidArgument([
      { field: "provider", description: "provider_id or provider_name is required" },
    ]);
  }
  const profile = store.findProvider(key);
  if (!profile) throw new NotFound("provider");
  return profile;
}

/** The profile of a connection that is requested again. @throws InvalidArgument where the request says something else; FailedPrecondition */
export function profileOf(store: Store, connection: Connection, request: Named): ProviderProfile {
  refuseOtherName(connection, request);
  // A profile that was deleted and registered again under its name takes its connections back by consent.
  const profile =
    store.getProvider(connection.providerId) ?? store.findProviderByName(connection.providerName);
  if (!profile)
    throw new FailedPrecondition("PROVIDER_DELETED", "the provider of this connection was deleted");
  if (request.provider && profileNamed(store, request).id !== profile.id) throw other("provider");
  return profile;
}

/** The scopes that a request for consent asks for. */
interface Wanted {
  readonly scopes: readonly string[];
  readonly addsDefaults?: boolean;
}

/** None for a static type. @throws InvalidArgument for more than one request may hold */
export function scopesFor(
  profile: ProviderProfile,
  { scopes, addsDefaults = false }: Wanted,
): readonly string[] {
  if (profile.authType !== "oauth2") return [];
  if (scopes.length === 0) return profile.scopes;
  if (!addsDefaults) return scopes;
  return limitedScopes([...profile.scopes, ...scopes], "the profile's defaults");
}

/** Without doubles. @param others where those come from that the caller did not name */
export function limitedScopes(scopes: readonly string[], others: string): readonly string[] {
  const all = [...new Set(scopes)];
  if (all.length <= maxScopes) return all;
  const description = `must not make more than ${maxScopes} with ${others}: these make ${all.length}`;
  throw new InvalidArgument([{ field: "scopes", description }]);
}

/** @throws InvalidArgument where the request is for another user or label */
export function refuseOtherName(connection: Connection, { userId, label = "" }: Named): void {
  if (userId !== "" && userId !== connection.userId) throw other("user_id");
  if (label !== "" && label !== connection.label) throw other("label");
}

function other(field: string): InvalidArgument {
  return new InvalidArgument([{ field, description: "is not the one of this connection: leave it empty" }]);
}

/** @throws FailedPrecondition */
export function refuseRevoked({ status }: Connection): void {
  if (status !== "revoked") return;
  throw new FailedPrecondition("CONNECTION_REVOKED", "the connection was revoked: request a new one");
}
