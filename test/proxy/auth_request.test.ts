import { describe, expect, it } from "vitest";
import { ProxyProgram } from "./programs.js";
import {
  importHeader,
  importHmac,
  importQuery,
  invalidToken,
  itFollowsTheConnection,
  itJudgesTheApi,
  itProves,
  itSendsAgain,
  proxied,
  rejections,
} from "./proxied.js";
import { forged } from "./proxy_world.js";

describe("nginx's auth_request", () => {
  const use = proxied("nginx", (variables) => ProxyProgram.nginx(variables));

  it("puts the value into the query, instead of every forged spelling", async () => {
    const url = await use.start(await importQuery(use.world));
    const path = "/query/list?x=1&key=forged&%6bey=forged";
    expect((await fetch(`${url}${path}`, { headers: forged })).status).toBe(200);
    expect(use.world.last.url).toBe("/query/list?x=1&key=a%20b%26c");
    expect(JSON.stringify(use.world.last)).not.toContain("forged");
  });

  it("denies what it cannot sign", async () => {
    const url = await use.start(await importHmac(use.world));
    const count = use.world.arrived.length;
    expect((await fetch(url, { method: "POST", body: "{}" })).status).toBe(403);
    expect(use.world.arrived).toHaveLength(count);
  });

  it("sends nothing on where the credential goes elsewhere than the location takes it from", async () => {
    const byQuery = await use.start(await importQuery(use.world));
    const byHeader = await use.start(await importHeader(use.world));
    const count = use.world.arrived.length;
    expect((await fetch(`${byQuery}/list`, { headers: forged })).status).toBe(502);
    expect((await fetch(`${byHeader}/query/list?key=forged`, { headers: forged })).status).toBe(502);
    expect(use.world.arrived).toHaveLength(count);
  });

  it("shows its own question to nobody", async () => {
    const url = await use.start(await importHeader(use.world));
    expect((await fetch(`${url}/nexus`)).status).toBe(404);
  });

  it("asks nexusd over TLS too, and not one whose certificate it cannot judge", async () => {
    const overTls = { NEXUS_HTTP: use.world.place.httpUrl.replace("127.0.0.1", "localhost") };
    const id = await importHeader(use.world);
    expect(overTls.NEXUS_HTTP).toMatch(/^https:/);
    expect((await fetch(await use.start(id, overTls))).status).toBe(200);
    expect(use.world.last.headers.authorization).toBe("Bearer k3y");
    const unauthenticated = await use.start(id, { ...overTls, NEXUS_CA_FILE: use.world.otherCaFile });
    const count = use.world.arrived.length;
    expect((await fetch(unauthenticated)).status).toBe(500);
    expect(use.world.arrived).toHaveLength(count);
  });

  it("sends a body again too", async () => {
    const url = await use.start(await use.world.connect());
    use.world.refusals.push(invalidToken);
    expect((await fetch(url, { method: "POST", body: "hello" })).status).toBe(200);
    expect(use.world.arrived.slice(-2).map(({ method, body }) => `${method} ${body}`)).toEqual([
      "POST hello",
      "POST hello",
    ]);
  });

  itSendsAgain(use, true);
  itProves(use, true);
  itJudgesTheApi(use, 502);
  itFollowsTheConnection(use, 500);
});

describe("Caddy's forward_auth", () => {
  const use = proxied("caddy", (variables) => ProxyProgram.caddy(variables));

  it("denies what goes into the query, and says why", async () => {
    const url = await use.start(await importQuery(use.world));
    const count = use.world.arrived.length;
    const denied = await fetch(`${url}/list?x=1`, { headers: { ...forged, "x-original-uri": "/forged" } });
    expect(denied.status).toBe(403);
    expect(await denied.text()).toContain("does not go into this header");
    expect(use.world.arrived).toHaveLength(count);
  });

  it("denies what it cannot sign, and says why", async () => {
    const url = await use.start(await importHmac(use.world));
    const count = use.world.arrived.length;
    const denied = await fetch(url, { method: "POST", body: "{}" });
    expect(denied.status).toBe(403);
    expect(await denied.json()).toMatchObject({ message: expect.stringContaining("whole body") });
    expect(use.world.arrived).toHaveLength(count);
  });

  it("reports a 401 to a request with a body, and leaves it to the agent to send it again", async () => {
    const id = await use.world.connect();
    const url = await use.start(id);
    use.world.refusals.push(invalidToken);
    const count = use.world.arrived.length;
    const refused = await fetch(url, { method: "POST", body: "hello" });
    expect([refused.status, await refused.text()]).toEqual([
      401,
      expect.stringContaining("send the request again"),
    ]);
    expect(use.world.arrived).toHaveLength(count + 1);
    expect(await rejections(use.world, id)).toEqual(["1: 401 invalid_token"]);
    expect((await fetch(url, { method: "POST", body: "hello" })).status).toBe(200);
    expect(use.world.last.headers.authorization).toBe(`Bearer ${await use.world.token(id)}`);
  });

  itSendsAgain(use, false);
  itProves(use, true);
  itJudgesTheApi(use, 502);
  itFollowsTheConnection(use, 502);
});
