import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CommandFailure } from "../../../../src/cli/shell/command_failure.js";
import { HeldCalls, type TokenCall } from "../../../../src/ext/mcp/tools/held_calls.js";
import { type Token, TokenSchema } from "../../../../src/gen/nexus/v1/token_pb.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perTest } from "../../../lifetimes.js";

type Reply = "accept" | "decline" | "cancel";
const request = { method: "POST", url: "https://api.example/x", bodySha256: new Uint8Array(32) };
const account = { providerName: "api", userId: "ada", label: "" };

/** A host of MCP that can show links, and a daemon whose answers the test gives. */
class World {
  readonly clock = new ManualClock(1_800_000_000_000);
  readonly held = new HeldCalls(this.clock);
  isPageThere = true;
  reads = 0;
  signal: AbortSignal | undefined;
  yes: () => void = () => undefined;
  readonly caller = new AbortController();

  call(change: { state?: string; reply?: Reply; request?: object; account?: object; caller?: string } = {}) {
    const session = {
      daemon: { of: () => ({ findApprovalPage: "findApprovalPage" }) },
      call: async () => {
        if (!this.isPageThere) throw new CommandFailure(1, "no page");
        return { url: "https://console.example/approvals/x.y" };
      },
    };
    const mcpReq = {
      signal: this.caller.signal,
      requestState: () => change.state,
      inputResponses: change.reply && { approval: { action: change.reply } },
      notify: async () => undefined,
    };
    return this.held.token({
      server: { server: { getClientCapabilities: () => ({ elicitation: { url: {} } }) } },
      context: { mcpReq, http: { authInfo: { clientId: change.caller ?? "key:claude" } } },
      ...{ session, account: { ...account, ...change.account }, request: { ...request, ...change.request } },
      era: "modern",
      read: (signal: AbortSignal) => {
        this.reads++;
        this.signal = signal;
        return new Promise<Token>((resolve, reject) => {
          this.yes = () => resolve(create(TokenSchema, { revision: BigInt(this.reads) }));
          signal.addEventListener("abort", () => reject(new CommandFailure(1, "the caller has left")));
        });
      },
    } as unknown as TokenCall);
  }

  /** Until the client is asked. */
  async asked(): Promise<string> {
    const asked = this.call();
    await setImmediate();
    this.clock.advance(500);
    const { requestState } = (await asked) as { requestState?: string };
    return requestState ?? "";
  }
}

describe("a call of a tool that a person is asked about", () => {
  const world = perTest(() => new World());

  it("asks nobody where the token is there at once", async () => {
    const token = world.call();
    world.yes();
    expect(await token).toMatchObject({ revision: 1n });
  });

  it("goes on with what it asked for when the client comes back, once", async () => {
    const state = await world.asked();
    const token = world.call({ state, reply: "accept" });
    world.yes();
    expect(await token).toMatchObject({ revision: 1n });
    expect(world.reads).toBe(1);
    void world.call({ state, reply: "accept" });
    expect(world.reads).toBe(2);
  });

  it("goes on when the person answered before the client came back, for a minute", async () => {
    const state = await world.asked();
    world.yes();
    await setImmediate();
    world.clock.advance(59_999);
    expect(await world.call({ state, reply: "accept" })).toMatchObject({ revision: 1n });
    const late = await world.asked();
    world.yes();
    await setImmediate();
    world.clock.advance(60_000);
    void world.call({ state: late, reply: "accept" });
    expect(world.reads).toBe(3);
  });

  it.each([
    ["URL", { request: { url: "https://api.example/y" } }],
    ["method", { request: { method: "DELETE" } }],
    ["body", { request: { bodySha256: new Uint8Array(32).fill(1) } }],
    ["headers", { request: { headers: { "x-a": "b" } } }],
    ["account", { account: { userId: "eve" } }],
    ["caller", { caller: "key:other" }],
  ])(
    "is another call, which waits for a yes of its own, when the client comes back with another %s",
    async (_, change) => {
      const state = await world.asked();
      const first = world.signal;
      world.yes();
      void world.call({ state, reply: "accept", ...change });
      expect([world.reads, first?.aborted]).toEqual([2, true]);
    },
  );

  it.each(["decline", "cancel"] as const)(
    "ends when the person answers the client with %s",
    async (reply) => {
      const state = await world.asked();
      await expect(world.call({ state, reply })).rejects.toThrow("was not sent");
      expect(world.signal?.aborted).toBe(true);
    },
  );

  it("waits by itself where there is no page", async () => {
    world.isPageThere = false;
    const token = world.call();
    for (let looks = 0; looks < 3; looks++) {
      await setImmediate();
      world.clock.advance(1_000);
    }
    world.yes();
    expect(await token).toMatchObject({ revision: 1n });
  });

  it("ends with its caller, before and after the client was asked", async () => {
    const state = await world.asked();
    const token = world.call({ state, reply: "accept" });
    world.caller.abort();
    await expect(token).rejects.toThrow("has left");
    expect(world.signal?.aborted).toBe(true);
  });
});
