import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ClientRegistrationRecord,
  ClientRegistrationRecordSchema,
  ProviderRecordSchema,
} from "../../gen/nexus/store/v1/records_pb.js";
import { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { type ClientRegistration, registrationKinds } from "../../model/credentials/client_registration.js";
import { profileMessage, profileSettings } from "../../model/providers/profile_fields.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { decodeText, decodeTime, decodeWord, encodeTime, encodeWord, fieldsOf } from "./field_codec.js";
import { fromSealedMessage, toSealedMessage } from "./sealed_codec.js";

export function encodeProvider(profile: ProviderProfile): Uint8Array {
  const { id, clientSecret, createdAtMs, updatedAtMs, version, redirectPath, registration } = profile;
  const record = create(ProviderRecordSchema, {
    id,
    settings: profileMessage(profile),
    createdAtMs: BigInt(createdAtMs),
    updatedAtMs: BigInt(updatedAtMs),
    version,
    redirectPath,
    ...(clientSecret && { clientSecret: toSealedMessage(clientSecret) }),
    ...(registration && { registration: registrationMessage(registration) }),
  });
  return toBinary(ProviderRecordSchema, record);
}

/** @throws RangeError on the number of an enum that this version does not know */
export function decodeProvider(bytes: Uint8Array): ProviderProfile {
  const { settings, clientSecret, registration, ...fields } = fieldsOf(
    fromBinary(ProviderRecordSchema, bytes),
  );
  return {
    ...profileSettings(settings ?? create(ProviderSchema)),
    ...fields,
    clientSecret: clientSecret && fromSealedMessage(clientSecret),
    createdAtMs: Number(fields.createdAtMs),
    updatedAtMs: Number(fields.updatedAtMs),
    ...(registration && { registration: registrationOf(registration) }),
  };
}

function registrationMessage(registration: ClientRegistration): ClientRegistrationRecord {
  const { kind, issuer, registeredAtMs, secretExpiresAtMs, configurationUrl, accessToken } = registration;
  return create(ClientRegistrationRecordSchema, {
    kind: encodeWord(registrationKinds, kind),
    issuer,
    registeredAtMs: encodeTime(registeredAtMs),
    secretExpiresAtMs: encodeTime(secretExpiresAtMs),
    configurationUrl: configurationUrl ?? "",
    ...(accessToken && { accessToken: toSealedMessage(accessToken) }),
  });
}

function registrationOf(record: ClientRegistrationRecord): ClientRegistration {
  return {
    kind: decodeWord(registrationKinds, record.kind),
    issuer: record.issuer,
    registeredAtMs: Number(record.registeredAtMs),
    secretExpiresAtMs: decodeTime(record.secretExpiresAtMs),
    configurationUrl: decodeText(record.configurationUrl),
    accessToken: record.accessToken && fromSealedMessage(record.accessToken),
  };
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
