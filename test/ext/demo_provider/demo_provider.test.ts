import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DemoProvider } from "../../../src/ext/demo_provider/demo_provider.js";
import { startMs } from "../../cli/fake_shell.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { freePort } from "../../free_port.js";
import { perTest } from "../../lifetimes.js";

const redirectUri = "http://localhost:8080/auth/callback/demo";
const verifier = "v".repeat(43);
const request = {
  ...{
    client_id: "demo",
    redirect_uri: redirectUri,
    response_type: "code",
    scope: "profile",
    state: '"><b>',
  },
  code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  code_challenge_method: "S256",
};

class World {
  readonly clock = new ManualClock(startMs);
  readonly lines: string[] = [];
  private constructor(readonly provider: DemoProvider) {}

  static async make(): Promise<World> {
    const world: { now?: World } = {};
    const clock = new ManualClock(startMs);
    const provider = new DemoProvider({
      ...{ clock, port: await freePort(), tokenLifetimeMs: 60_000 },
      onToken: (line) => world.now?.lines.push(line),
    });
    await provider.open();
    world.now = Object.assign(new World(provider), { clock });
    return world.now;
  }

  async close(): Promise<void> {
    this.provider.close();
    await this.provider.closed;
  }

  post(path: string, fields: Record<string, string>): Promise<Response> {
    const body = new URLSearchParams(fields);
    return fetch(`${this.provider.issuer}${path}`, { method: "POST", body, redirect: "manual" });
  }

  async decide(decision: string): Promise<URL> {
    const answer = await this.post("/authorize", { ...request, decision });
    return new URL(answer.headers.get("location") ?? "");
  }

  async redeem(code: string, more: Record<string, string> = {}) {
    return await this.post("/token", {
      ...{ grant_type: "authorization_code", client_id: "demo", code, redirect_uri: redirectUri },
      ...{ code_verifier: verifier, ...more },
    });
  }

  async refresh(refreshToken: string) {
    const fields = { grant_type: "refresh_token", client_id: "demo", refresh_token: refreshToken };
    return await this.post("/token", fields);
  }

  async user(token: string): Promise<Response> {
    return await fetch(`${this.provider.issuer}/api/user`, { headers: { authorization: `Bearer ${token}` } });
  }

  async connected(): Promise<{ access_token: string; refresh_token: string }> {
    const code = (await this.decide("allow")).searchParams.get("code") ?? "";
    return (await (await this.redeem(code)).json()) as { access_token: string; refresh_token: string };
  }
}

describe("the demo provider", () => {
  const world = perTest(World.make);

  it("asks the user on a page that shows what a request says as text", async () => {
    const page = await fetch(`${world.provider.issuer}/authorize?${new URLSearchParams(request)}`);
    const text = await page.text();
    expect([page.status, page.headers.get("content-security-policy")]).toEqual([
      200,
      expect.stringContaining("default-src 'none'"),
    ]);
    expect(text).toContain("Allow access?");
    expect(text).not.toContain('"><b>');
  });

  it("leads back with a code, or with the user's no", async () => {
    expect((await world.decide("allow")).searchParams.get("iss")).toBe(world.provider.issuer);
    const { origin, pathname, searchParams } = await world.decide("deny");
    expect(`${origin}${pathname}`).toBe(redirectUri);
    expect([searchParams.get("error"), searchParams.get("state")]).toEqual(["access_denied", request.state]);
  });

  it.each([
    ["another client", { client_id: "other" }, "--client-id demo"],
    ["a redirect to elsewhere", { redirect_uri: "https://evil.example/" }, "this machine alone"],
    ["a redirect that begins like this machine", { redirect_uri: "http://localhost.evil.example/" }, "alone"],
    ["no PKCE", { code_challenge_method: "plain" }, "PKCE"],
  ])("refuses %s on a page of its own", async (_what, wrong, why) => {
    const answer = await world.post("/authorize", { ...request, decision: "allow", ...wrong });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(why)]);
  });

  it("gives tokens once for a code, to who has its verifier, within a minute", async () => {
    const codeOf = async () => (await world.decide("allow")).searchParams.get("code") ?? "";
    const code = await codeOf();
    expect((await world.redeem(code)).status).toBe(200);
    expect((await world.redeem(code)).status).toBe(400);
    expect((await world.redeem(await codeOf(), { code_verifier: "w".repeat(43) })).status).toBe(400);
    const late = await codeOf();
    world.clock.advance(60_001);
    expect(await (await world.redeem(late)).json()).toEqual({ error: "invalid_grant" });
  });

  it("expires access tokens, and rotates refresh tokens", async () => {
    const first = await world.connected();
    expect(await (await world.user(first.access_token)).json()).toEqual({
      sub: "ada",
      login: "ada",
      token: 1,
    });
    world.clock.advance(60_000);
    expect((await world.user(first.access_token)).status).toBe(401);
    const second = (await (await world.refresh(first.refresh_token)).json()) as typeof first;
    expect(await (await world.user(second.access_token)).json()).toMatchObject({ token: 2 });
    expect(world.lines.join()).not.toContain(second.access_token);
  });

  it("revokes a grant whose old refresh token comes back, or that a client revokes", async () => {
    const stolen = await world.connected();
    const next = (await (await world.refresh(stolen.refresh_token)).json()) as typeof stolen;
    expect((await world.refresh(stolen.refresh_token)).status).toBe(400);
    expect((await world.user(next.access_token)).status).toBe(401);
    const revoked = await world.connected();
    await world.post("/revoke", { token: revoked.refresh_token });
    expect((await world.refresh(revoked.refresh_token)).status).toBe(400);
  });

  it("takes no body that is long, or does not say how long it is", async () => {
    expect((await world.post("/token", { code: "x".repeat(20_000) })).status).toBe(413);
  });
});
