import {
  optionFields,
  type ProfileField,
  profileFields,
} from "../../../src/model/providers/profile_fields.js";
import type { ProviderSettings } from "../../../src/model/providers/profile_settings.js";
import { Authority } from "../../fakes/certificates.js";

/** A value of each kind that is not the default. */
function sampleOf(field: ProfileField): unknown {
  switch (field.kind) {
    case "text":
      if (field.name === "client_signing_alg") return "PS256";
      if (field.name === "response_mode") return "jwt";
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
      return field.name === "api_hosts" ? ["one.example", "*.two.example"] : ["one", "two"];
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
export const full = samplesOf(profileFields, {
  name: "full",
  authType: "oauth2",
  grantType: "authorization_code",
  tokenEndpointAuthMethod: "tls_client_auth",
  tlsClientCertificate: new Authority().issue().cert,
  clientAssertionSource: "",
  clientKeySource: "",
  // An MCP server of its own has none.
  apiCaFile: "",
  issuer: "https://p.example",
  enableDiscovery: false,
  checkIntervalMs: 300_000,
  credentialSchema: undefined,
  template: "",
  identityProvider: "",
  userInfoMapping: { subject: "id", login: "user.login" },
  // A token of the actor goes with this form of exchange alone, and only a client with a key signs.
  oauth2: samplesOf(optionFields, { tokenExchange: "rfc8693", signAuthorizationRequests: false }),
}) as ProviderSettings;

/** Without what only a person's consent needs. */
export const unattended: ProviderSettings = {
  ...full,
  ...{ mcpServerUrl: "", apiCaFile: "corp" },
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

export const vouched: ProviderSettings = {
  ...unattended,
  grantType: "identity_assertion",
  identityProvider: "company",
};
