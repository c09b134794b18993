import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ProviderSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import { readManifest } from "../../../src/ext/manifest/manifest.js";
import { manifestText } from "../../../src/ext/manifest/manifest_text.js";
import { contractOfProfile, profileOfContract } from "../../../src/model/providers/contract_profile.js";
import {
  optionFields,
  type ProfileField,
  profileFields,
  profileMessage,
  profileSettings,
} from "../../../src/model/providers/profile_fields.js";
import type { ProviderSettings } from "../../../src/model/providers/profile_settings.js";
import { decodeProvider, encodeProvider } from "../../../src/store/records/provider_codec.js";
import { Authority } from "../../fakes/certificates.js";

/** A value of each kind that is not the default. */
function sampleOf(field: ProfileField): unknown {
  switch (field.kind) {
    case "text":
      if (field.name === "client_signing_alg") return "PS256";
      return field.name.endsWith("_url") || field.name === "resource"
        ? `https://p.example/${field.name}`
        : "a.b";
    case "flag":
      return true;
    case "number":
      return 64;
    case "word":
      return field.words.at(-1);
    case "duration":
      return 90_000;
    case "texts":
      return ["one", "two"];
    case "text_map":
      return { "X-One": "1", two: "2" };
    case "json":
      return { nested: { list: [1, "2", null] } };
    case "strategy":
      return { kind: "oauth2", headerName: "X-Token", valuePrefix: "", credentialField: "id_token" };
    case "options":
      return samplesOf(optionFields);
  }
}

function samplesOf(fields: readonly ProfileField[], given: object = {}): object {
  return { ...Object.fromEntries(fields.map((field) => [field.key, sampleOf(field)])), ...given };
}

// No schema, since the type is oauth2; endpoints by hand; a short separator.
const full = samplesOf(profileFields, {
  name: "full",
  authType: "oauth2",
  grantType: "authorization_code",
  tokenEndpointAuthMethod: "tls_client_auth",
  tlsClientCertificate: new Authority().issue().cert,
  clientAssertionSource: "",
  clientKeySource: "",
  issuer: "https://p.example",
  enableDiscovery: false,
  credentialSchema: undefined,
  template: "",
  identityProvider: "",
  userInfoMapping: { subject: "id", login: "user.login" },
  oauth2: samplesOf(optionFields),
}) as ProviderSettings;

/** Without what only a person's consent needs. */
const unattended: ProviderSettings = {
  ...full,
  grantType: "client_credentials",
  ...{
    tokenEndpointAuthMethod: "client_assertion_file",
    tlsClientCertificate: "",
    clientAssertionSource: "pod",
  },
  authUrl: "",
  authorizationParams: {},
  oauth2: { ...full.oauth2, refreshUrl: "", refreshParams: {} },
};

const vouched: ProviderSettings = {
  ...unattended,
  grantType: "identity_assertion",
  identityProvider: "company",
};

it.each([
  ["a person consents", full],
  ["no person consents", unattended],
  ["an identity provider vouches", vouched],
])(
  "where %s every setting survives the served message, the record, the contract's JSON and a manifest",
  (_, full) => {
    const message = fromBinary(ProviderSchema, toBinary(ProviderSchema, profileMessage(full)));
    expect(profileSettings(message)).toEqual(full);

    const stored = { ...full, id: "i", clientSecret: undefined, createdAtMs: 1, updatedAtMs: 2, version: 3n };
    const profile = { ...stored, redirectPath: "/auth/callback/full" };
    expect(decodeProvider(encodeProvider(profile))).toEqual(profile);

    // How a strategy is spelled there stays in `params`.
    const draft = profileOfContract(contractOfProfile(full));
    expect([draft.violations, { ...draft.settings, params: full.params }]).toEqual([[], full]);

    const text = manifestText([
      { id: "i", etag: "v3", settings: full, clientSecretSet: full.clientAssertionSource === "" },
    ]);
    const { profiles } = readManifest(text, { variables: { FULL_CLIENT_SECRET: "s3cret" } });
    expect(profiles[0]?.settings).toEqual(full);
  },
);

it("a number that this version does not know is refused, not taken for a default", () => {
  const message = profileMessage(full);
  message.tokenEndpointAuthMethod = 9 as number;
  expect(() => profileSettings(message)).toThrow(RangeError);
});
