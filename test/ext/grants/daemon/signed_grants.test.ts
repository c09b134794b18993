import { generateKeyPairSync } from "node:crypto";
import { jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { GrantType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { failureOf } from "../../../daemon/errors.js";
import { ScriptedWorld } from "../../../daemon/scripted_world.js";
import { perSuite } from "../../../lifetimes.js";
import { json } from "../../../oauth/scripted_server.js";

const rsaKey = generateKeyPairSync("rsa", { modulusLength: 2048 });

describe("a grant that the client signs", () => {
  const world = perSuite(() => ScriptedWorld.make());

  it("presents a JWT for the user of the connection, by the template of Salesforce", async () => {
    const answer = await world.clients.providers.createProvider({
      provider: {
        name: "crm",
        clientId: "consumer-key",
        clientSecret: rsaKey.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
        tokenUrl: `${world.provider.origin}/token`,
      },
      template: "salesforce-jwt",
    });
    expect(answer.provider).toMatchObject({ grantType: GrantType.JWT_BEARER, redirectUri: "", authUrl: "" });
    world.answerToken = () => json({ access_token: "minted", instance_url: "https://na1.example" });
    const request = { providerName: "crm", userId: "ada@example.test" };
    const { result } = await world.clients.tokens.acquireToken(request);
    if (result.case !== "token") throw new Error(result.case);
    expect(result.value.credentials["access_token"]).toBe("minted");
    const form = world.tokenRequests.at(-1)?.form;
    const { payload } = await jwtVerify(form?.get("assertion") ?? "", rsaKey.publicKey);
    expect(payload).toMatchObject({
      iss: "consumer-key",
      sub: "ada@example.test",
      aud: "https://login.salesforce.com",
    });
    world.answerToken = ({ form }) => {
      const error_description = `the assertion ${form.get("assertion")} has a wrong audience`;
      return json({ error: "invalid_client", error_description }, 401);
    };
    const zoe = { ...request, userId: "zoe@example.test" };
    const refused = await failureOf(world.clients.tokens.acquireToken(zoe));
    expect(refused.message).toContain("and assertion_audience of the profile's oauth2_options");
    const line = world.place.logLines.find((each) => each.includes("the provider refuses the client")) ?? "";
    expect(JSON.parse(line)).toMatchObject({ description: "the assertion [redacted] has a wrong audience" });
    world.answerToken = () => json({ error: "invalid_grant", error_description: "not authorized" }, 400);
    const failure = await failureOf(
      world.clients.tokens.acquireToken({ ...request, userId: "eve@example.test" }),
    );
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(failure.message).toContain("invalid_grant");
  });

  it("asks for tokens of an installation of a GitHub App, limited by the scopes of each connection", async () => {
    const created = await world.clients.providers.createProvider({
      provider: {
        name: "app",
        clientId: "Iv1.0123",
        clientSecret: rsaKey.privateKey.export({ type: "pkcs1", format: "pem" }) as string,
        tokenUrl: `${world.provider.origin}/token`,
      },
      template: "github-app",
      templateVariables: { installation_id: "12345678" },
    });
    expect(created.provider).toMatchObject({ grantType: GrantType.GITHUB_APP, redirectUri: "" });
    world.answerToken = ({ body }) => {
      // The connection of an earlier test may be tried again meanwhile.
      if (!body.startsWith("{")) return json({ error: "invalid_grant" }, 400);
      const expires_at = new Date(world.clock.nowMs() + 3_600_000).toISOString();
      return json({ token: `ghs_${body.length}`, expires_at, ...JSON.parse(body) });
    };
    const acquire = async (label: string, scopes: string[]) => {
      const request = { providerName: "app", userId: "ada", label, scopes };
      const { result } = await world.clients.tokens.acquireToken(request);
      if (result.case !== "token") throw new Error(result.case);
      return result.value;
    };
    const whole = await acquire("", []);
    const narrow = await acquire("docs", ["contents:read", "repository:docs"]);
    expect(narrow.credentials["access_token"]).not.toBe(whole.credentials["access_token"]);
    expect(narrow.grantedScopes).toEqual(["contents:read"]);
    expect((await acquire("docs", ["repository:docs"])).revision).toBe(1n);
    expect(await failureOf(acquire("odd", ["everything"]))).toMatchObject({
      reason: "PROVIDER_MISCONFIGURED",
      message: expect.stringContaining("the scope everything is neither a permission"),
    });
    // What one connection asks for wrongly does not hold up the others.
    expect((await acquire("", [])).revision).toBe(1n);

    const asked: object[] = [];
    const { answerToken } = world;
    world.answerToken = (request) => {
      asked.push(JSON.parse(request.body));
      return answerToken(request);
    };
    const get = (label: string, scopes: string[], more: object = {}) =>
      world.clients.tokens.getToken({ name: { providerName: "app", userId: "ada", label }, scopes, ...more });
    const [one, two] = [await get("", ["repository:site"]), await get("", ["repository:site"])];
    expect(one.token?.credentials).toEqual(two.token?.credentials);
    await get("docs", ["metadata:read"]).catch(() => undefined);
    await get("docs", ["repository:docs"]);
    expect(asked).toEqual([
      { repositories: ["site"] },
      { repositories: ["docs"], permissions: { contents: "read" } },
    ]);
    for (const wider of ["repository:site", "contents:write", "metadata:read", "everything"]) {
      const failure = await failureOf(get("docs", [wider]));
      expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["scopes[0]"] });
    }
    expect(await failureOf(get("", ["repository:site"], { audience: "x" }))).toMatchObject({
      code: "InvalidArgument",
      fields: ["audience"],
    });
    expect(asked).toHaveLength(2);
  });
});
