import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { Browser } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { frozenClient } from "./frozen_provider.js";
import { FrozenWorld } from "./frozen_world.js";
import { callJson } from "./rpc.js";
import { ask, denial, heldPaths, shown } from "./story.js";
import { FrozenVersion } from "./version.js";

const hourMs = 3_600_000;

type Json = Record<string, unknown>;

/** What a newer version may say in other words, where the folder lay, and how much there is since `answers` were given. */
const reworded = ["message", "path", "records"];

/** Lists of records by their id, so that new ones do not matter. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) {
    const ids = value.map((each: Json) => each?.["id"] ?? each?.["sequence"] ?? each?.["kid"]);
    const isKeyed = value.length > 0 && ids.every((id) => id !== undefined);
    return isKeyed
      ? Object.fromEntries(value.map((each, at) => [ids[at], comparable(each)]))
      : value.map(comparable);
  }
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !reworded.includes(name));
  return Object.fromEntries(kept.map(([name, each]) => [name, comparable(each)]));
}

describe.each(FrozenVersion.all())("the folder of $name", (version) => {
  const { connections, keys, answers, consentUrl } = version.frozen;
  const world = perTest(() =>
    FrozenWorld.of(version, ({ down }) => {
      down.add("/revoke");
      down.add("/hook");
      down.add("/token");
    }),
  );
  const up = () => world.provider.down.clear();
  const grantOf = async (user: string) => /frozen-access-(\d+)-/.exec((await world.token(user)) ?? "")?.[1];
  const refreshesOf = (grant: string | undefined) =>
    world.provider.refreshes.filter((refresh) => refresh.includes(`frozen-refresh-${grant}-`));

  it("has each record as it was", async () => {
    const now = await ask(world.folder.call, version.capabilities);
    for (const [at, { rpc, response }] of answers.entries()) {
      expect({ rpc, ...(comparable(now[at]?.response) as Json) }).toMatchObject({
        rpc,
        ...(comparable(response) as Json),
      });
    }
    expect(Object.keys(connections).length).toBeGreaterThan(11);
  });

  it("has the tokens that were there, and refreshes them with the grants that were there", async () => {
    const [ada, bea] = [await grantOf("ada"), await grantOf("bea")];
    expect(await world.token("ada")).toBe(`frozen-access-${ada}-1`);
    expect(await world.token("bea")).toBe(`frozen-access-${bea}-2`);
    expect(await world.token("weather")).toBe("frozen-api-key");
    expect(await world.token("robot")).toBe("frozen-machine");
    const bound = await grantOf("dan");
    up();
    world.clock.advance(2 * hourMs);
    await expect.poll(() => world.token("ada")).toBe(`frozen-access-${ada}-2`);
    await expect.poll(() => world.token("bea")).toBe(`frozen-access-${bea}-3`);
    await expect.poll(() => world.token("dan")).toBe(`frozen-access-${bound}-2`);
    await expect.poll(() => world.token("gus")).toMatch(/^frozen-access-900-/);
    const { clientId, clientSecret } = frozenClient;
    expect(refreshesOf(ada)).toEqual([`${clientId} ${clientSecret} frozen-refresh-${ada}-1`]);
    const proven = world.provider.at("/token").filter(({ headers }) => headers["dpop"] !== undefined);
    expect(proven.map(({ params }) => params["refresh_token"])).toEqual([`frozen-refresh-${bound}-1`]);
  });

  it("goes on with refreshes that were not answered, or failed", async () => {
    up();
    world.clock.advance(2 * hourMs);
    await expect.poll(() => world.token("ivy").catch(String)).toMatch(/^frozen-access-\d+-2$/);
    await expect.poll(() => world.token("hal").catch(String)).toMatch(/^frozen-access-\d+-[23]$/);
  });

  it("lets an API key do what it could, and no more", async () => {
    const get = (key: string, user: string) => {
      const url = `http://${world.folder.settings.NEXUS_HTTP_LISTEN}`;
      const request = { connectionId: world.id(user) };
      return callJson(url, keys[key] ?? "", "TokenService/GetToken", request).catch((error: unknown) =>
        String(error).slice(7),
      );
    };
    expect(await get("ci", "ada")).toMatchObject({ token: { revision: "1" } });
    expect(await get("ci", "bea")).toMatch(/^TokenService\/GetToken ended with 404/);
    expect(await get("ci", "weather")).toMatch(/ended with 404/);
    expect(await get("ops", "ada")).toMatch(/ended with 403/);
    expect(await get("gone", "ada")).toMatch(/ended with 401/);
    if (keys["narrow"] === undefined) return;
    expect(await get("narrow", "ada")).toMatch(/ended with 404/);
    expect(await get("narrow", "bea")).toMatch(/ended with 400.*rules check each of its requests/);
    expect(await world.clients.approvals.listStops({})).toMatchObject({
      stops: [{ principal: "cert:spiffe://example.com/stopped" }],
    });
  });

  it("goes on with uses that were counted, and with what a session did", async (context) => {
    context.skip(!version.capabilities.accessLimits, "that version counts and remembers nothing");
    const read = (key: string, connection: string, more: object = {}) =>
      world.folder
        .call("TokenService/GetToken", { connectionId: connections[connection], ...more }, keys[key])
        .then(({ token }) => Object.keys((token as { credentials: object }).credentials), String);
    const [grant, spent] = ["claude.acme.0a1b2c", expect.stringContaining("ended with 429")];
    expect([await read(grant, "ada"), await read(grant, "ada")]).toEqual([["access_token"], spent]);
    const send = (method: string, path: string) =>
      read("gateway", "weather", { request: shown(method, path) });
    expect(await send("POST", "/issues")).toMatch(/ended with 403.*it read private data/);
    expect([await send("GET", "/private/x"), await send("GET", "/private/x")]).toEqual([["api_key"], spent]);
    const templates = await world.clients.policy.listRequestTemplates({});
    const { count } = templates.templates.find(({ path }) => path === "/private/plan") ?? {};
    expect([templates.recording, count]).toEqual([true, 1n]);
  });

  it("goes on with requests that were held, and with decisions that nobody took", async (context) => {
    context.skip(!version.capabilities.accessLimits, "that version holds nothing in its store");
    const { approvals } = world.clients;
    const send = (path: string) => {
      const request = { connectionId: connections["weather"], request: shown("GET", path) };
      return world.folder.call("TokenService/GetToken", request, keys["gateway"]);
    };
    const [approved, denied, waiting] = heldPaths;
    expect(await send(approved)).toMatchObject({ token: { credentials: { api_key: "frozen-api-key" } } });
    await expect(send(denied)).rejects.toThrow(denial);
    const sent = send(waiting);
    await expect.poll(async () => (await approvals.listHeldRequests({})).requests.length).toBe(1);
    const [held] = (await approvals.listHeldRequests({})).requests;
    if (held?.heldSince === undefined) throw new Error("it says not since when it waits");
    expect(timestampMs(held.heldSince)).toBeLessThan(version.frozen.atMs);
    const digest = new Uint8Array(held.digest);
    await approvals.decideHeldRequest({ id: held.id, digest, approve: true });
    expect(await sent).toMatchObject({ token: { credentials: { api_key: "frozen-api-key" } } });
  });

  it("takes the consent of a link that was open", async () => {
    up();
    const { status, body } = await new Browser().get(consentUrl);
    expect([status, body]).toEqual([200, expect.any(String)]);
    expect(await world.token("eve")).toMatch(/^frozen-access-\d+-1$/);
  });

  it("sends what waited: notifications, and a token to revoke", async () => {
    up();
    world.clock.advance(2 * hourMs);
    const told = () => world.provider.at("/hook").map(({ body }) => body);
    await expect.poll(told).toContainEqual(expect.stringContaining(world.id("cy")));
    const tokens = () => world.provider.at("/revoke").map(({ params }) => params["token"] ?? "");
    await expect.poll(tokens).toContainEqual(expect.stringMatching(/^frozen-refresh-\d+-1$/));
  });

  it("has an audit log whose chain is whole, and goes on", async () => {
    const { checked, firstBadSequence, headSequence } = await world.clients.audit.verifyAuditLog({});
    expect(firstBadSequence).toBe(0n);
    expect(checked).toBe(headSequence);
    expect(checked).toBeGreaterThan(30n);
  });
});
