import { describe, expect, it } from "vitest";
import { ProxyProgram } from "./programs.js";
import { importHmac, importQuery, itFollowsTheConnection, itJudgesTheApi, proxied } from "./proxied.js";
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

  itJudgesTheApi(use, 502);
  itFollowsTheConnection(use, 502);
});
