import { createHash, createHmac } from "node:crypto";
import { EmbeddedJWK, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { has, needs } from "../needs.js";
import type { ProxyProgram, Variables } from "./programs.js";
import { forged, ProxyWorld } from "./proxy_world.js";

export interface Proxied {
  readonly world: ProxyWorld;
  /** Starts the proxy for a connection. @returns where the agent calls */
  readonly start: (
    connectionId: string,
    variables?: Readonly<Record<`NEXUS_${string}`, string>>,
  ) => Promise<string>;
}

/** A world for the tests of one proxy, and proxies in it that end with it. */
export function proxied(
  name: "envoy" | "nginx" | "caddy",
  startProgram: (variables: Variables) => Promise<ProxyProgram>,
): Proxied {
  let world: ProxyWorld | undefined;
  const running: ProxyProgram[] = [];
  const made = (): ProxyWorld => {
    if (!world) throw new Error("the world is not made yet");
    return world;
  };
  beforeAll(async () => {
    if (has(name)) world = await ProxyWorld.make();
  });
  beforeEach((context) => needs(context, name));
  afterAll(async () => {
    await Promise.all(running.map((program) => program.stop()));
    await world?.close();
  });
  return {
    get world() {
      return made();
    },
    start: async (connectionId, variables) => {
      const program = await startProgram({ ...(await made().variables(connectionId)), ...variables });
      running.push(program);
      return program.url;
    },
  };
}

export const secretKey = "s3cret";
export const sha256Of = (body: string): string => createHmac("sha256", secretKey).update(body).digest("hex");

/** A connection whose key goes into the parameter `key`. */
export function importQuery(world: ProxyWorld): Promise<string> {
  const kind = { case: "queryParam", value: { paramName: "key", credentialField: "api_key" } };
  const profile = { name: "query", authType: AuthType.QUERY_PARAM, strategy: { kind } };
  return world.import(profile, { api_key: "a b&c" });
}

/** A connection that signs bodies. */
export function importHmac(world: ProxyWorld): Promise<string> {
  const value = { headerName: "X-Signature", secretField: "api_secret", algo: "sha256", encoding: "hex" };
  const profile = {
    name: "hmac",
    authType: AuthType.HMAC_PAYLOAD,
    strategy: { kind: { case: "hmacPayload", value } },
  };
  return world.import(profile, { api_secret: secretKey });
}

/** A connection whose key goes into the header that the examples pass on. */
export function importHeader(world: ProxyWorld): Promise<string> {
  const strategy = { kind: { case: "header", value: { headerName: "Authorization" } } } as const;
  return world.import({ name: "bare", authType: AuthType.API_KEY, strategy }, { api_key: "k3y" });
}

/** Over TLS to the API: its name in the handshake, and its certificate judged. @param status when it cannot be trusted */
export function itJudgesTheApi(use: Proxied, status: number): void {
  it("calls the API by its name, and none that its certificate does not prove", async () => {
    const { world, start } = use;
    const id = await importHeader(world);
    expect((await fetch(await start(id))).status).toBe(200);
    expect(world.last).toMatchObject({ serverName: "localhost" });
    expect(world.last.headers.authorization).toBe("Bearer k3y");
    expect(world.last.headers.host).toMatch(/^localhost(:\d+)?$/);
    const count = world.arrived.length;
    const unauthenticated = await start(id, { NEXUS_API_CA: world.otherCaFile });
    expect((await fetch(unauthenticated)).status).toBe(status);
    const otherName = await start(id, { NEXUS_API_HOST: "127.0.0.1" });
    expect((await fetch(otherName)).status).toBe(status);
    expect(world.arrived).toHaveLength(count);
  });
}

export const invalidToken = { status: 401, challenge: 'Bearer realm="a \\"b\\"", error="invalid_token"' };
export const lacksScope = { status: 403, challenge: 'Bearer error="insufficient_scope", scope="read"' };

/**
 * What every proxy does with a token that is bound to a key.
 *
 * @param sendsAgain whether the proxy itself sends a request again, or its agent does
 */
export function itProves(use: Proxied, sendsAgain: boolean): void {
  it("puts a proof for the very request beside a bound token, with the nonce that the API asks for", async () => {
    const { world, start } = use;
    const id = await world.connectBound();
    const url = await start(id);
    const accessToken = await world.token(id);
    const proved = async (index: number) => {
      const headers = world.arrived.at(index)?.headers ?? {};
      expect(headers.authorization).toBe(`DPoP ${accessToken}`);
      const options = { typ: "dpop+jwt", algorithms: ["ES256"] };
      const { payload } = await jwtVerify(String(headers["dpop"]), EmbeddedJWK, options);
      const ath = createHash("sha256").update(accessToken).digest("base64url");
      expect(payload).toMatchObject({ htm: "GET", htu: "https://localhost/v1/me", ath });
      return payload["nonce"];
    };
    expect((await fetch(`${url}/v1/me?a=b`, { headers: { ...forged, dpop: "forged" } })).status).toBe(200);
    expect(await proved(-1)).toBeUndefined();

    const challenge = 'DPoP realm="api", error="use_dpop_nonce", algs="ES256"';
    world.refusals.push({ status: 401, challenge, nonce: "n-0S6_WzA2Mj" });
    const refused = await fetch(`${url}/v1/me`);
    expect(refused.status).toBe(sendsAgain ? 200 : 401);
    if (!sendsAgain) {
      await expect
        .poll(async () => {
          await fetch(`${url}/v1/me`);
          return await proved(-1);
        })
        .toBe("n-0S6_WzA2Mj");
    }
    expect(await proved(-1)).toBe("n-0S6_WzA2Mj");
    expect(await rejections(world, id)).toEqual([]);
    expect(await world.token(id)).toBe(accessToken);
  });
}

/** Reports of the connection that were acted on, the newest first. */
export async function rejections(world: ProxyWorld, connectionId: string): Promise<string[]> {
  const { events } = await world.clients.audit.listAuditEvents({ eventType: "token_rejected", connectionId });
  return events.map(({ reason, revision }) => `${revision}: ${reason}`);
}

/**
 * What a proxy that sends a request again does when the API refuses the credential.
 *
 * @param keepsChallenge whether the answer to the second has the challenge of the first
 */
export function itSendsAgain(use: Proxied, keepsChallenge: boolean): void {
  it("reports a 401, sends the request once more with the new credential, and never twice", async () => {
    const { world, start } = use;
    const id = await world.connect();
    const url = await start(id);
    world.refusals.push(invalidToken);
    const count = world.arrived.length;
    const answer = await fetch(`${url}/me`);
    expect([answer.status, await answer.text()]).toEqual([200, "hello"]);
    expect(answer.headers.get("www-authenticate")).toBe(keepsChallenge ? invalidToken.challenge : null);
    const sent = world.arrived.slice(count);
    expect(sent.map(({ url: path }) => path)).toEqual(["/me", "/me"]);
    expect(sent[0]?.headers.authorization).not.toBe(sent[1]?.headers.authorization);
    expect(sent[1]?.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect(JSON.stringify(sent.map(({ headers }) => Object.keys(headers)))).not.toContain("x-nexus");
    expect(await rejections(world, id)).toEqual(["1: 401 invalid_token"]);

    world.refusals.push(invalidToken, invalidToken);
    const forgedRevision = {
      "x-nexus-revision": "1",
      "x-nexus-refused-revision": "1",
      "x-nexus-refused-status": "403",
    };
    const refused = await fetch(url, { headers: forgedRevision });
    expect([refused.status, await refused.text()]).toEqual([401, "refused"]);
    expect(world.arrived).toHaveLength(count + 4);
    expect(await rejections(world, id)).toEqual(["2: 401 invalid_token", "1: 401 invalid_token"]);

    const bare = await start(await importHeader(world));
    world.refusals.push(invalidToken);
    expect((await fetch(bare)).status).toBe(401);
    expect(world.arrived).toHaveLength(count + 5);
  });
}

/** The life of a connection behind a proxy that asks about every request. The last test of a world: it ends with the daemon killed. */
export function itFollowsTheConnection(use: Proxied, statusWithoutDaemon: number): void {
  it("gives, overwrites, follows a refresh, denies what is revoked, and denies when nexusd is killed", async () => {
    const { world, start } = use;
    const id = await world.connect();
    const url = await start(id);
    const carriesTheToken = async (): Promise<void> =>
      expect(world.last.headers.authorization).toBe(`Bearer ${await world.token(id)}`);
    expect((await fetch(`${url}/me?x=1`)).status).toBe(200);
    expect(world.last).toMatchObject({ url: "/me?x=1" });
    await carriesTheToken();
    expect((await fetch(url, { method: "POST", body: "hello", headers: forged })).status).toBe(200);
    expect(world.last).toMatchObject({ method: "POST", body: "hello" });
    await carriesTheToken();
    expect(JSON.stringify(world.last.headers)).not.toContain("forged");

    await world.clients.tokens.refreshToken({ connectionId: id });
    await fetch(url);
    await carriesTheToken();
    const { events } = await world.clients.audit.listAuditEvents({ connectionId: id });
    const reads = events.filter(({ eventType }) => eventType === "token_retrieved");
    expect(new Set(reads.map(({ revision }) => revision))).toEqual(new Set([1n, 2n]));

    await world.clients.connections.revokeConnection({ connectionId: id });
    const count = world.arrived.length;
    expect((await fetch(url, { headers: forged })).status).toBe(401);

    await world.daemon.kill("SIGKILL");
    expect((await fetch(url, { headers: forged })).status).toBe(statusWithoutDaemon);
    expect(world.arrived).toHaveLength(count);
  });
}
