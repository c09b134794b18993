import { create } from "@bufbuild/protobuf";
import { ClientRegistrationRecordSchema, ProviderRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { type ClientRegistration, registrationKinds } from "../../model/credentials/client_registration.js";
import { profileMessage, profileSettings } from "../../model/providers/profile_fields.js";
import type { ProviderProfile, ProviderSettings } from "../../model/providers/provider_profile.js";
import { nested, optionalText, optionalTime, recordForm, time, word } from "./record_form.js";
import { optionalSealed } from "./sealed_codec.js";

const registrations = recordForm<ClientRegistration, typeof ClientRegistrationRecordSchema>(
  ClientRegistrationRecordSchema,
  {
    kind: word(registrationKinds),
    registeredAtMs: time,
    secretExpiresAtMs: optionalTime,
    configurationUrl: optionalText,
    accessToken: optionalSealed,
  },
);

const profiles = recordForm<
  Omit<ProviderProfile, keyof ProviderSettings> & { readonly settings: ProviderSettings },
  typeof ProviderRecordSchema
>(ProviderRecordSchema, {
  settings: {
    encode: profileMessage,
    decode: (message) => profileSettings(message ?? create(ProviderSchema)),
  },
  clientSecret: optionalSealed,
  createdAtMs: time,
  updatedAtMs: time,
  registration: nested(registrations),
});

export function encodeProvider(profile: ProviderProfile): Uint8Array {
  return profiles.encode({ ...profile, settings: profile });
}

/** @throws RangeError on the number of an enum that this version does not know */
export function decodeProvider(bytes: Uint8Array): ProviderProfile {
  const { settings, ...profile } = profiles.decode(bytes);
  return { ...settings, ...profile };
}

/** Profiles that were decoded lately, by their ids. A record that has other bytes is decoded again. */
const lately = new Map<string, { readonly bytes: Buffer; readonly profile: ProviderProfile }>();
const maxLately = 1000;

/** The profile of a record; with every token its profile is read, and profiles seldom change. @throws RangeError as `decodeProvider` */
export function decodedProvider(id: string, bytes: Buffer): ProviderProfile {
  const known = lately.get(id);
  if (known?.bytes.equals(bytes)) return known.profile;
  const profile = decodeProvider(bytes);
  if (lately.size >= maxLately) lately.clear();
  lately.set(id, { bytes: Buffer.from(bytes), profile });
  return profile;
}
