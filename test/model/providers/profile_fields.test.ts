import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ProviderSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import { contractOfProfile, profileOfContract } from "../../../src/model/providers/contract_profile.js";
import { profileMessage, profileSettings } from "../../../src/model/providers/profile_fields.js";
import { decodeProvider, encodeProvider } from "../../../src/store/records/provider_codec.js";
import { full, unattended, vouched } from "./whole_profiles.js";

it.each([
  ["a person consents", full],
  ["no person consents", unattended],
  ["an identity provider vouches", vouched],
])("where %s every setting survives the served message, the record and the contract's JSON", (_, full) => {
  const message = fromBinary(ProviderSchema, toBinary(ProviderSchema, profileMessage(full)));
  expect(profileSettings(message)).toEqual(full);

  const stored = { ...full, id: "i", clientSecret: undefined, createdAtMs: 1, updatedAtMs: 2, version: 3n };
  const profile = { ...stored, redirectPath: "/auth/callback/full" };
  expect(decodeProvider(encodeProvider(profile))).toEqual(profile);

  // How a strategy is spelled there stays in `params`.
  const draft = profileOfContract(contractOfProfile(full));
  expect([draft.violations, { ...draft.settings, params: full.params }]).toEqual([[], full]);
});

it("a number that this version does not know is refused, not taken for a default", () => {
  const message = profileMessage(full);
  message.tokenEndpointAuthMethod = 9 as number;
  expect(() => profileSettings(message)).toThrow(RangeError);
});
