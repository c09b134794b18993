import { describe, expect, it } from "vitest";
import { CatalogueError } from "../../src/catalogue/catalogue_error.js";
import { parseCatalogue } from "../../src/catalogue/catalogue_file.js";
import { DocumentError, formatViolations } from "../../src/document/document_error.js";
import { headerNameViolation, tokenHeaderViolation } from "../../src/model/header_name.js";
import type { JsonObject } from "../../src/model/json.js";
import { profileOfContract } from "../../src/model/providers/contract_profile.js";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import { providerViolations } from "../../src/model/providers/provider_profile.js";
import { adaptTokenRequest } from "../../src/oauth/token_request.js";
import { applyStrategy } from "../../src/strategies/apply_strategy.js";

const framing = [
  ...[
    "Transfer-Encoding",
    "Upgrade",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Host",
    "Content-Length",
    "Expect",
  ],
  ...[
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "proxy-anything",
    "HTTP2-Settings",
    "hOST",
  ],
];
const own = ["Authorization", "X-API-Key", "Api-Token", "Proxy", "Trailers-X", "X-Host", "Content-Type"];

describe.each(framing)("%s", (name) => {
  /** Errors of a profile in the contract's JSON, by their fields. */
  const fieldsOf = (profile: JsonObject): string[] => {
    const { settings, violations, clientSecret } = profileOfContract({ name: "acme", ...profile });
    return [...violations, ...providerViolations(settings, clientSecret instanceof Object)].map(
      ({ field }) => field,
    );
  };
  const oauth2: JsonObject = {
    ...{ auth_type: "oauth2", client_id: "c", client_secret: "s" },
    ...{ auth_url: "https://p.example/a", token_url: "https://p.example/t" },
  };

  it("is refused in a strategy, however a profile spells it", () => {
    expect(headerNameViolation(name)).toMatch(/belongs to the connection or frames the message/);
    for (const profile of [
      { auth_type: "header", params: { header_name: name } },
      { auth_type: "api_key", auth_header: name },
      { auth_type: "header", params: { auth_strategy: { type: "header", config: { header_name: name } } } },
      { auth_type: "header", strategy: { header: { header_name: name } } },
    ]) {
      expect(fieldsOf(profile)).toEqual(["provider.strategy.header.header_name"]);
    }
    expect(fieldsOf({ auth_type: "hmac_payload", params: { header_name: name } })).toEqual([
      "provider.strategy.hmac_payload.header_name",
    ]);
    expect(fieldsOf({ ...oauth2, strategy: { oauth2: { header_name: name } } })).toEqual([
      "provider.strategy.oauth2.header_name",
    ]);
  });

  it("is refused among token_headers, and goes into no token request", () => {
    expect(fieldsOf({ ...oauth2, oauth2_options: { token_headers: { [name]: "x" } } })).toEqual([
      `provider.oauth2_options.token_headers["${name}"]`,
    ]);
    const quirks = { ...plainOAuth2, tokenHeaders: { [name]: "x", "X-A": "b" } };
    const sent = adaptTokenRequest({ method: "POST", headers: {} }, quirks);
    expect(sent.headers).toEqual({ "x-a": "b" });
  });

  it("is refused in a catalogue, with its place", () => {
    const entry = `{ name: acme, display_name: A, category: crm, auth_type: header, docs_url: https://a.example/,
      strategy: { type: header, header_name: ${name} } }`;
    expect(formatted(() => parseCatalogue("c.yaml", `providers: [${entry}]`))).toMatch(
      /header_name.*frames the message/s,
    );
  });

  it("gets no credential, whoever stored such a strategy", async () => {
    const request = { method: "GET", url: "https://api.example/", headers: {} };
    const strategy = { type: "header", config: { header_name: name } };
    await expect(applyStrategy(request, strategy, { api_key: "k" })).rejects.toMatchObject({
      code: "invalid_strategy",
      field: "header_name",
    });
  });
});

it.each(own)("%s is a header of the request", (name) => {
  expect(headerNameViolation(name)).toBeUndefined();
});

it.each(["", "X Y", "X\r\nY", ":status", "é"])("%j is no header name", (name) => {
  expect(headerNameViolation(name)).toBe("must be a header name");
});

it.each(["Authorization", "content-type", "Cookie"])("%s is the protocol's in a token request", (name) => {
  expect(tokenHeaderViolation(name)).toMatch(/protocol/);
});

function formatted(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof DocumentError) return formatViolations(error).join("\n");
    if (error instanceof CatalogueError) return error.violations.join("\n");
    throw error;
  }
  return "taken";
}
