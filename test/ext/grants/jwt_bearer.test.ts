import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { decodeProtectedHeader, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { jwtBearer } from "../../../src/ext/grants/jwt_bearer.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { OAuth2Options } from "../../../src/model/providers/profile_settings.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import type { OAuthClient } from "../../../src/oauth/client_authentication.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { json, startScriptedServer } from "../../oauth/scripted_server.js";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;
/** As Google's console hands it out. */
const keyFile = JSON.stringify({
  type: "service_account",
  project_id: "p",
  private_key_id: "0123456789abcdef",
  private_key: pem(rsa.privateKey),
  client_email: "robot@p.iam.gserviceaccount.com",
  token_uri: "https://oauth2.googleapis.com/token",
});

describe("jwtBearer", () => {
  const server = perTest(() => startScriptedServer(json({ access_token: "minted", expires_in: 3600 })));
  const nowMs = 1_900_000_000_500;

  function send(
    options: Partial<OAuth2Options> = {},
    client: Partial<OAuthClient> = {},
    scopes: string[] = ["read", "write"],
    issuer = "",
  ) {
    const quirks = { ...plainOAuth2, ...options };
    return jwtBearer({
      server: manualAuthorizationServer({
        issuer,
        authUrl: "",
        tokenUrl: `${server.origin}/token`,
        jwksUrl: "",
      }),
      client: {
        clientId: "robot",
        clientSecret: new Secret(pem(rsa.privateKey)),
        method: "none",
        signing: quirks,
        ...client,
      },
      scopes,
      subject: "ada",
      options: quirks,
      clock: new ManualClock(nowMs),
      fetch: createOutboundFetch({ networks: loopbackNetworks }),
    });
  }

  const form = () => Object.fromEntries(server.requests.at(-1)?.form ?? []);
  const claims = async (key = rsa.publicKey) =>
    (await jwtVerify(form()["assertion"] ?? "", key, { currentDate: new Date(nowMs), clockTolerance: 1 }))
      .payload;

  test("signs the grant and the client with the daemon's own key, where the profile holds none", async () => {
    const asked: string[] = [];
    const ownKey = async (alg: string) => {
      asked.push(alg);
      return { kid: "own", privateKey: new Secret(pem(ec.privateKey)) };
    };
    await send({}, { clientSecret: undefined, method: "private_key_jwt", ownKey });
    expect(await claims(ec.publicKey)).toMatchObject({ iss: "robot", sub: "ada" });
    for (const jwt of [form()["assertion"], form()["client_assertion"]])
      expect(decodeProtectedHeader(jwt ?? "")).toMatchObject({ alg: "ES256", kid: "own" });
    expect(asked).toEqual(["", ""]);
  });

  test("presents a JWT for the subject, good for two minutes, with the client_id of a public client", async () => {
    const { tokenSet } = await send();
    expect(tokenSet).toMatchObject({
      refreshToken: undefined,
      requestedScopes: ["read", "write"],
      expiresInMs: 3_600_000,
    });
    expect(tokenSet.accessToken.reveal()).toBe("minted");
    const { assertion: _, ...rest } = form();
    expect(rest).toEqual({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      client_id: "robot",
      scope: "read write",
    });
    const seconds = 1_900_000_000;
    expect(await claims()).toEqual({
      iss: "robot",
      sub: "ada",
      aud: `${server.origin}/token`,
      iat: seconds,
      exp: seconds + 120,
      jti: expect.stringMatching(/^[\w-]{43}$/),
    });
  });

  test("puts the scopes into the JWT, and the id of the key file into its header, as Google wants it", async () => {
    await send({ scopeInAssertion: true }, { clientSecret: new Secret(keyFile) });
    expect(Object.keys(form()).sort()).toEqual(["assertion", "grant_type"]);
    expect(await claims()).toMatchObject({ scope: "read write" });
    expect(decodeProtectedHeader(form()["assertion"] ?? "")).toEqual({
      alg: "RS256",
      typ: "JWT",
      kid: "0123456789abcdef",
    });
  });

  test("names the audience of the profile, else its issuer", async () => {
    await send({ assertionAudience: "https://login.example" });
    expect((await claims()).aud).toBe("https://login.example");
    await send({}, {}, [], "https://op.example");
    expect((await claims()).aud).toBe("https://op.example");
    expect(form()).not.toHaveProperty("scope");
  });

  test("signs with another key and algorithm, and authenticates the client with it where it must", async () => {
    const clientSecret = new Secret(pem(ec.privateKey));
    await send({ clientKeyId: "k1" }, { clientSecret, method: "private_key_jwt" });
    expect(await claims(ec.publicKey)).toMatchObject({ sub: "ada" });
    const proof = await jwtVerify(form()["client_assertion"] ?? "", ec.publicKey, {
      currentDate: new Date(nowMs),
      // The library takes the distance of the two clocks in whole seconds.
      clockTolerance: 1,
    });
    expect([proof.payload.sub, proof.protectedHeader.kid]).toEqual(["robot", "k1"]);
    expect(proof.payload.jti).not.toBe((await claims(ec.publicKey)).jti);
  });

  test.each([
    ["a key file without a key", '{"type":"service_account"}', /without a private_key/],
    ["no key", "s3cret", /no private key/],
  ])("sends nothing with %s", async (_, secret, says) => {
    const failed = send({}, { clientSecret: new Secret(secret) });
    await expect(failed).rejects.toMatchObject({ kind: "client", message: expect.stringMatching(says) });
    expect(server.requests).toHaveLength(0);
  });

  test("presents the JWT of a file as it is, read anew for each request", async () => {
    let reads = 0;
    const read = () => Promise.resolve(new Secret(`workload.${++reads}.jwt`));
    const assertion = { type: "jwt_bearer" as const, read };
    for (const expected of ["workload.1.jwt", "workload.2.jwt"]) {
      await send({}, { clientSecret: undefined, assertion });
      expect(form()).toEqual({
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion: expected,
        client_id: "robot",
        scope: "read write",
      });
    }
  });

  test("authenticates the client by its secret beside a JWT that another key signs, or that a file holds", async () => {
    const client = { clientSecret: new Secret("s3cret"), method: "client_secret_post" as const };
    const ownKey = async () => ({ kid: "robot", privateKey: new Secret(pem(ec.privateKey)) });
    await send({}, { ...client, ownKey });
    expect(form()).toMatchObject({ client_id: "robot", client_secret: "s3cret" });
    expect(await claims(ec.publicKey)).toMatchObject({ iss: "robot", sub: "ada" });
    const assertion = { type: "jwt_bearer" as const, read: async () => new Secret("workload.jwt") };
    await send({}, { ...client, ownKey, assertion });
    expect(form()).toMatchObject({ assertion: "workload.jwt", client_secret: "s3cret" });
  });
});
