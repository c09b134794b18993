import { describe, expect, it } from "vitest";
import { ProxyProgram } from "./programs.js";
import {
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
