import { describe, expect, test } from "vitest";
import {
  fromDiscoveryDocument,
  manualAuthorizationServer,
  withMtlsAliases,
} from "../../src/oauth/authorization_server.js";
import { DiscoveryFailure } from "../../src/oauth/discovery.js";

const issuer = "https://idp.example";
const document = {
  issuer,
  authorization_endpoint: "https://idp.example/auth?tenant=1",
  token_endpoint: "https://idp.example/token",
};
const read = (members: Record<string, unknown>, expected = issuer) =>
  fromDiscoveryDocument(expected, JSON.stringify({ ...document, ...members }));

function failure(act: () => unknown): DiscoveryFailure {
  try {
    act();
  } catch (violation) {
    expect(violation).toBeInstanceOf(DiscoveryFailure);
    return violation as DiscoveryFailure;
  }
  throw new Error("it did not fail");
}

describe("a discovery document", () => {
  test("with everything", () => {
    const server = read({
      jwks_uri: "https://keys.example/jwks",
      revocation_endpoint: "https://idp.example/revoke",
      authorization_response_iss_parameter_supported: true,
      id_token_signing_alg_values_supported: ["none", "HS256", "ES256", "RS256", 7],
      code_challenge_methods_supported: ["plain", "S256", 7],
      registration_endpoint: "https://idp.example/register",
      client_id_metadata_document_supported: true,
      token_endpoint_auth_methods_supported: ["client_secret_basic", {}],
      scopes_supported: ["openid", "offline_access"],
      userinfo_endpoint: "http://not.looked.at/",
    });
    expect(server).toEqual({
      issuer,
      announcesDpop: false,
      authorizationEndpoint: "https://idp.example/auth?tenant=1",
      tokenEndpoint: "https://idp.example/token",
      jwksUri: "https://keys.example/jwks",
      keys: expect.anything(),
      revocationEndpoint: "https://idp.example/revoke",
      issParameterSupported: true,
      requiresPushedRequests: false,
      requiresSignedRequests: false,
      signsResponses: false,
      mtlsAliases: {},
      deviceAuthorizationEndpoint: undefined,
      announcesPkce: true,
      announced: {
        registrationEndpoint: "https://idp.example/register",
        clientIdMetadataDocument: true,
        tokenEndpointAuthMethods: ["client_secret_basic"],
        tokenEndpointAuthAlgorithms: [],
        scopes: ["openid", "offline_access"],
      },
      metadata: {
        issuer,
        authorization_endpoint: "https://idp.example/auth?tenant=1",
        token_endpoint: "https://idp.example/token",
        jwks_uri: "https://keys.example/jwks",
        revocation_endpoint: "https://idp.example/revoke",
        registration_endpoint: "https://idp.example/register",
        authorization_response_iss_parameter_supported: true,
        id_token_signing_alg_values_supported: ["RS256", "ES256"],
      },
    });
  });

  test("with the least", () => {
    const server = read({
      jwks_uri: null,
      revocation_endpoint: "",
      authorization_response_iss_parameter_supported: "true",
    });
    expect(server.jwksUri).toBeUndefined();
    expect(server.revocationEndpoint).toBeUndefined();
    expect(server.issParameterSupported).toBe(false);
    expect(server.metadata.id_token_signing_alg_values_supported).toEqual(["RS256"]);
    expect(server.metadata).not.toHaveProperty("jwks_uri");
  });

  test.each([
    "https://idp.example/",
    "https://IDP.example",
    "https://idp.example:443",
    "https://idp.example/%7Eada",
    "http://idp.example",
    "https://evil.example",
    "",
    null,
    [issuer],
    undefined,
  ])("of the issuer %j is not ours", (named) => {
    expect(failure(() => read({ issuer: named })).reason).toBe("issuer_mismatch");
  });

  test("an issuer with a terminating slash is another issuer", () => {
    for (const [named, said] of [
      [issuer, `${issuer}/`],
      [`${issuer}/`, issuer],
    ]) {
      const { reason, message } = failure(() => read({ issuer: named }, said));
      expect(reason).toBe("issuer_mismatch");
      expect(message).toMatch(new RegExp(`the slash at the end: set the issuer of the profile to ${named}$`));
    }
    expect(read({ issuer: `${issuer}/` }, `${issuer}/`).issuer).toBe(`${issuer}/`);
  });

  test.each([undefined, null, ""])("must have a token endpoint, and %j is none", (nothing) => {
    const violation = failure(() => read({ token_endpoint: nothing }));
    expect(violation).toMatchObject({ reason: "missing_endpoint", detail: "token_endpoint" });
  });

  test.each([undefined, null, ""])("may have no authorization endpoint: %j", (nothing) => {
    const server = read({ authorization_endpoint: nothing });
    expect(server.authorizationEndpoint).toBe("");
    expect(server.metadata).not.toHaveProperty("authorization_endpoint");
  });

  test.each(["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"])(
    "must have a safe %s",
    (field) => {
      for (const bad of [
        "http://idp.example/x",
        // A document from elsewhere that points at this machine.
        "http://127.0.0.1:6379/x",
        "ftp://idp.example/x",
        "javascript:alert(1)",
        "/x",
        " https://idp.example/x",
        "https://idp.example/x#y",
        "https://user:pw@idp.example/x",
        7,
        {},
      ]) {
        const violation = failure(() => read({ [field]: bad }));
        expect(violation).toMatchObject({ reason: "invalid_endpoint", detail: field });
        expect(violation.message).not.toContain("user:pw");
      }
    },
  );

  test("of this machine may use plain http", () => {
    const local = "http://127.0.0.1:4000";
    const server = read(
      { issuer: local, authorization_endpoint: `${local}/a`, token_endpoint: "http://localhost:4001/t" },
      local,
    );
    expect(server.tokenEndpoint).toBe("http://localhost:4001/t");
    expect(failure(() => read({ issuer: local, token_endpoint: "http://10.0.0.1/t" }, local)).reason).toBe(
      "invalid_endpoint",
    );
  });

  test.each(["", "<html>", "null", "[]", "7", '"x"', "{"])("%j is none", (text) => {
    expect(failure(() => fromDiscoveryDocument(issuer, text)).reason).toBe("not_json");
  });

  test("members of Object.prototype are not members", () => {
    const text = `{"issuer":"${issuer}","__proto__":${JSON.stringify(document)}}`;
    expect(failure(() => fromDiscoveryDocument(issuer, text)).reason).toBe("missing_endpoint");
  });
});

test("what a client that proves itself in TLS calls: the aliases that may be called, else the endpoints themselves", () => {
  const document = JSON.stringify({
    issuer: "https://idp.example",
    authorization_endpoint: "https://idp.example/auth",
    token_endpoint: "https://idp.example/token",
    revocation_endpoint: "https://idp.example/revoke",
    device_authorization_endpoint: "https://idp.example/device",
    mtls_endpoint_aliases: {
      token_endpoint: "https://mtls.idp.example/token",
      revocation_endpoint: "http://mtls.idp.example/revoke",
      device_authorization_endpoint: ["https://mtls.idp.example/device"],
      pushed_authorization_request_endpoint: "https://mtls.idp.example/par",
      authorization_endpoint: "https://mtls.idp.example/auth",
    },
  });
  const server = fromDiscoveryDocument("https://idp.example", document);
  expect(server.metadata.token_endpoint).toBe("https://idp.example/token");
  const mutual = withMtlsAliases(server);
  expect(mutual).toMatchObject({
    authorizationEndpoint: "https://idp.example/auth",
    tokenEndpoint: "https://mtls.idp.example/token",
    revocationEndpoint: "https://idp.example/revoke",
    deviceAuthorizationEndpoint: "https://idp.example/device",
    pushedRequestEndpoint: "https://mtls.idp.example/par",
    metadata: { token_endpoint: "https://mtls.idp.example/token" },
  });
  expect(mutual.keys).toBe(server.keys);
});

describe("a server by hand", () => {
  test("with an issuer", () => {
    const server = manualAuthorizationServer({
      issuer,
      authUrl: "https://a.example/auth",
      tokenUrl: "https://b.example/token",
      jwksUrl: "https://c.example/jwks",
    });
    expect(server).toMatchObject({
      issuer,
      authorizationEndpoint: "https://a.example/auth",
      tokenEndpoint: "https://b.example/token",
      jwksUri: "https://c.example/jwks",
      issParameterSupported: false,
    });
    expect(server.metadata).toMatchObject({ issuer, jwks_uri: "https://c.example/jwks" });
    expect(server.metadata.id_token_signing_alg_values_supported).not.toContain("HS256");
  });

  test("without one: the placeholder for the library is no issuer", () => {
    const server = manualAuthorizationServer({
      issuer: "",
      authUrl: "https://a/",
      tokenUrl: "https://b/",
      jwksUrl: "",
    });
    expect(server.issuer).toBeUndefined();
    expect(server.jwksUri).toBeUndefined();
    expect(URL.canParse(server.metadata.issuer)).toBe(false);
  });
});
