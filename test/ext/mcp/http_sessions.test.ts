import { describe, expect, it } from "vitest";
import { HttpSessions } from "../../../src/ext/mcp/http_sessions.js";
import { McpServer } from "../../../src/ext/mcp/tools/sdk.js";
import { ManualClock } from "../../fakes/manual_clock.js";

const minuteMs = 60_000;

describe("HttpSessions", () => {
  const make = () => {
    const clock = new ManualClock(0);
    const sessions = new HttpSessions({
      clock,
      makeServer: () => new McpServer({ name: "test", version: "1" }),
    });
    const send = (message: object, id?: string, clientId = "key:ada") => {
      const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
      const request = new Request("http://localhost/mcp", {
        method: "POST",
        headers: id === undefined ? headers : { ...headers, "mcp-session-id": id },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...message }),
      });
      return sessions.handle(request, { token: "", clientId, scopes: [] });
    };
    const begin = async (clientId?: string): Promise<string> => {
      const clientInfo = { name: "test", version: "1" };
      const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
      const answer = await send({ method: "initialize", params }, undefined, clientId);
      await answer.text();
      return answer.headers.get("mcp-session-id") ?? "";
    };
    const ping = async (id: string, clientId?: string) =>
      (await send({ method: "ping" }, id, clientId)).status;
    return { clock, sessions, begin, ping, send };
  };

  it("ends one that is idle for 30 minutes, and none that is used", async () => {
    const { clock, begin, ping } = make();
    const [used, idle] = [await begin(), await begin()];
    await clock.advance(20 * minuteMs);
    expect(await ping(used)).toBe(200);
    await clock.advance(11 * minuteMs);
    expect([await ping(used), await ping(idle)]).toEqual([200, 404]);
  });

  it("ends the one that was idle longest for the 101st", async () => {
    const { clock, begin, ping } = make();
    const ids: string[] = [];
    for (let count = 0; count < 100; count++) {
      ids.push(await begin());
      await clock.advance(1);
    }
    expect(await ping(ids[0] ?? "")).toBe(200);
    const last = await begin();
    expect([await ping(ids[0] ?? ""), await ping(ids[1] ?? ""), await ping(last)]).toEqual([200, 404, 200]);
  });

  it("ends sessions of the caller that has the most, and none of others", async () => {
    const { clock, begin, ping } = make();
    const bobs = await begin("key:bob");
    const adas: string[] = [];
    for (let count = 0; count < 101; count++) {
      await clock.advance(1);
      adas.push(await begin());
    }
    expect(await ping(bobs, "key:bob")).toBe(200);
    expect([await ping(adas[1] ?? ""), await ping(adas[2] ?? "")]).toEqual([404, 200]);
  });

  it("keeps none for a request that begins none", async () => {
    const { send, sessions } = make();
    expect((await send({ method: "ping" })).status).toBe(400);
    expect((await send({ method: "ping" }, "unknown")).status).toBe(404);
    await sessions.close();
  });
});
