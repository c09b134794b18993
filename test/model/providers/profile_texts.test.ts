import { describe, expect, it } from "vitest";
import { bearerStrategy } from "../../../src/model/credentials/strategy.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { maxParamsBytes, textViolations } from "../../../src/model/providers/profile_texts.js";
import type { ProviderSettings } from "../../../src/model/providers/provider_profile.js";

const sound: ProviderSettings = {
  name: "acme",
  authType: "oauth2",
  grantType: "authorization_code",
  tlsClientCertificate: "",
  clientAssertionSource: "",
  clientKeySource: "",
  apiCaFile: "",
  clientId: "c",
  tokenEndpointAuthMethod: "client_secret_post",
  issuer: "",
  enableDiscovery: false,
  authUrl: "https://acme.example/a",
  tokenUrl: "https://acme.example/t",
  jwksUrl: "",
  scopes: [],
  userInfoMapping: {},
  authorizationParams: { access_type: "offline", label: "Zoë" },
  apiBaseUrl: "",
  userInfoEndpoint: "/me",
  description: "two\nlines\tand a tab",
  category: "crm",
  checkIntervalMs: undefined,
  refreshWindowMs: undefined,
  apiHosts: [],
  maxConcurrentRequests: 0,
  strategy: bearerStrategy,
  credentialSchema: undefined,
  params: {},
  oauth2: { ...plainOAuth2, tokenHeaders: { "X-Version": "2026-01-01 beta" } },
  template: "",
  mcpServerUrl: "",
  identityProvider: "",
};

const violationsOf = (more: Partial<ProviderSettings>): string[] =>
  textViolations({ ...sound, ...more }).map(({ field }) => field);
const withOptions = (more: Partial<ProviderSettings["oauth2"]>): Partial<ProviderSettings> => ({
  oauth2: { ...plainOAuth2, ...more },
});

describe("textViolations", () => {
  it("finds none in a sound profile", () => {
    expect(textViolations(sound)).toEqual([]);
  });

  it.each<[string, Partial<ProviderSettings>]>([
    ["client_id", { clientId: "a\u0007" }],
    ["category", { category: "a\nb" }],
    ["description", { description: "\u001b[2J" }],
    ["user_info_endpoint", { userInfoEndpoint: "/me\r\n" }],
    ["params", { params: { a: "x".repeat(maxParamsBytes) } }],
    ['authorization_params["a"]', { authorizationParams: { a: "b\nc" } }],
    ['authorization_params["a b"]', { authorizationParams: { "a b": "c" } }],
    ["oauth2_options.scope_separator", withOptions({ scopeSeparator: "\n" })],
    ["oauth2_options.lifetime_field", withOptions({ lifetimeField: "\u009b" })],
    ['oauth2_options.token_params["a"]', withOptions({ tokenParams: { a: "x".repeat(2049) } })],
    ['oauth2_options.refresh_params[""]', withOptions({ refreshParams: { "": "x" } })],
    ['oauth2_options.token_headers["X-A"]', withOptions({ tokenHeaders: { "X-A": "a\r\nX-Evil: b" } })],
    ['oauth2_options.token_headers["X-A"]', withOptions({ tokenHeaders: { "X-A": " a" } })],
    ['oauth2_options.token_headers["X-A"]', withOptions({ tokenHeaders: { "X-A": "é" } })],
    ["oauth2_options.token_metadata[0]", withOptions({ tokenMetadata: ["x".repeat(129)] })],
    ["oauth2_options.callback_metadata[1]", withOptions({ callbackMetadata: ["ok", ""] })],
    ["strategy.oauth2.credential_field", { strategy: { ...bearerStrategy, credentialField: "__proto__" } }],
  ])("finds the one at %s", (field, more) => {
    expect(violationsOf(more)).toEqual([`provider.${field}`]);
  });
});
