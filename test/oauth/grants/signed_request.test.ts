import { generateKeyPairSync } from "node:crypto";
import { jwtVerify } from "jose";
import { expect, test } from "vitest";
import { authorizationUrl } from "../../../src/oauth/authorization_request.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { signAuthorizationRequest } from "../../../src/oauth/grants/signed_request.js";
import { Secret } from "../../../src/runtime/secret.js";
import { ManualClock } from "../../fakes/manual_clock.js";

const issuer = "https://op.example";
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const clientSecret = new Secret(privateKey.export({ type: "pkcs8", format: "pem" }) as string);
const clock = new ManualClock(1_800_000_000_000);

async function signed(extraParams: Record<string, string>): Promise<URLSearchParams> {
  const authUrl = `${issuer}/auth?flow=own`;
  const server = manualAuthorizationServer({ issuer, authUrl, tokenUrl: `${issuer}/token`, jwksUrl: "" });
  const own = { server, clientId: "c", redirectUri: "https://d.example/cb", scopes: ["x"], state: "s" };
  const location = authorizationUrl({ ...own, codeVerifier: "v".repeat(43), extraParams });
  const client = { clientId: "c", method: "private_key_jwt", clientSecret } as const;
  const fetch = () => Promise.reject(new Error("nothing is sent"));
  const options = {} as never;
  return new URL(await signAuthorizationRequest({ server, client, clock, location, fetch, options }))
    .searchParams;
}

test("holds the whole request, for the issuer alone, and cannot be taken for what authenticates the client", async () => {
  const sent = await signed({ sub: "c", iss: "evil", aud: "evil", exp: "9999999999", prompt: "consent" });
  expect([...sent.keys()]).toEqual(["flow", "client_id", "request"]);
  const currentDate = new Date(clock.nowMs());
  const verified = await jwtVerify(sent.get("request") ?? "", publicKey, { currentDate });
  expect(verified.protectedHeader).toMatchObject({ alg: "RS256", typ: "oauth-authz-req+jwt" });
  const { sub, jti, nbf, iat, exp, ...claims } = verified.payload;
  expect(sub).toBeUndefined();
  expect([jti, (exp ?? 0) - (iat ?? 0)]).toEqual([expect.any(String), 60]);
  expect(claims).toMatchObject({ iss: "c", aud: issuer, client_id: "c", state: "s", prompt: "consent" });
  expect(claims).not.toHaveProperty("flow");
});

test.each([[{ claims: "{bad" }], [{ authorization_details: "x" }], [{ max_age: "soon" }]])(
  "is refused with what to correct: %j",
  async (extraParams: Record<string, string>) => {
    const failure = await signed(extraParams).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(GrantFailure);
    expect(failure).toMatchObject({
      kind: "client",
      refusal: expect.stringContaining("authorization_params"),
    });
  },
);
