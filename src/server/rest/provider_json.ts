import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import type { JsonObject } from "../../model/json.js";
import { contractOfProfile, type ProfileDraft } from "../../model/providers/contract_profile.js";
import { profileMessage, profileSettings } from "../../model/providers/profile_fields.js";
import { authTypes, canonicalName, providerViolations } from "../../model/providers/provider_profile.js";
import { contractField } from "../../service/pipeline/rest_error.js";

/** A profile as the Nexus contract reads it: no secret, but whether one is set. */
export function profileJson(provider: Provider): JsonObject {
  return {
    id: provider.id,
    ...contractOfProfile(profileSettings(provider)),
    // As Go writes a list that was never given: its clients compare by presence.
    scopes: provider.scopes.length === 0 ? null : [...provider.scopes],
    client_secret_set: provider.clientSecretSet,
    ...(provider.createdAt ? { created_at: timestampDate(provider.createdAt).toISOString() } : {}),
    ...(provider.updatedAt ? { updated_at: timestampDate(provider.updatedAt).toISOString() } : {}),
  };
}

/** What the list of the Nexus gateway says of a profile. */
export function metadataJson(provider: Provider): JsonObject {
  return {
    id: provider.id,
    api_base_url: provider.apiBaseUrl,
    user_info_endpoint: provider.userInfoEndpoint,
    scopes: [...provider.scopes],
    description: provider.description,
    category: provider.category,
  };
}

export function authTypeOf(provider: Provider): string {
  return authTypes[provider.authType - 1] ?? "oauth2";
}

/**
 * What the Nexus contract's clients leave out: a null is an unset field of theirs, an empty secret is one that they could
 * not read.
 */
export function mentioned(profile: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(profile).filter(
      ([name, value]) => value !== null && !(name === "client_secret" && value === ""),
    ),
  );
}

/** A name is looked up in any case and written in lower case alone, so that what is read back is what was written. */
function nameViolations({ name }: JsonObject): FieldViolation[] {
  if (typeof name !== "string" || name === canonicalName(name)) return [];
  return [{ field: "name", description: "must be 1 to 63 lower-case letters, digits and inner hyphens" }];
}

/**
 * The message that a draft asks for.
 *
 * @param json that the draft was read from
 * @param hasSecret whether a secret is stored already
 * @throws InvalidArgument naming what the JSON cannot say, and with it every error of the profile that it does say
 */
export function draftMessage(draft: ProfileDraft, json: JsonObject, hasSecret: boolean): Provider {
  const secret = draft.clientSecret?.reveal() ?? "";
  const unread = [...nameViolations(json), ...draft.violations];
  if (unread.length > 0) {
    const judged = providerViolations(draft.settings, hasSecret || secret !== "");
    const all = [...unread, ...judged].map((violation) => ({
      ...violation,
      field: contractField(violation.field),
    }));
    // Of one field the first.
    throw new InvalidArgument(
      [...new Map(all.toReversed().map((violation) => [violation.field, violation])).values()].toReversed(),
    );
  }
  const message = profileMessage(draft.settings);
  message.clientSecret = secret;
  return message;
}
