import { PassThrough, Writable } from "node:stream";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { FakeDaemon, providerId } from "../../cli/fake_daemon.js";
import { fakeShell, jsonLines } from "../../cli/fake_shell.js";
import { perTest } from "../../lifetimes.js";

const initialize = {
  jsonrpc: "2.0",
  id: "begin",
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
};
const ping = { jsonrpc: "2.0", id: "last", method: "ping" };

describe("nexusd mcp over standard input and output", () => {
  const daemon = perTest(() => {
    const fake = new FakeDaemon();
    fake.addConnection();
    return fake;
  });

  /** A host that has started it. */
  async function host(...flags: string[]) {
    await daemon.start();
    const input = new PassThrough();
    let answered = "";
    let onAnswer = (): void => {};
    const output = new Writable({
      write: (chunk, _encoding, done) => {
        answered += String(chunk);
        onAnswer();
        done();
      },
    });
    const shell = { ...fakeShell({ env: daemon.env }), openStandardStreams: () => ({ input, output }) };
    const exitCode = run(["mcp", ...flags], shell);
    /** Ends the input when there is an answer with this id, which has to come. */
    const leaveAfter = async (id: string): Promise<void> => {
      onAnswer = () => {
        if (answered.includes(`"id":"${id}"`) && !input.writableEnded) input.end();
      };
      expect(await exitCode).toBe(0);
    };
    return { input, shell, exitCode, leaveAfter, answers: () => jsonLines(answered) };
  }

  /** What is answered to these chunks, from the first to the answer of a ping after them. */
  async function answersTo(...chunks: readonly (string | Buffer)[]) {
    const { input, shell, leaveAfter, answers } = await host();
    input.write(`${JSON.stringify(initialize)}\n`);
    for (const chunk of chunks) input.write(chunk);
    input.write(`${JSON.stringify(ping)}\n`);
    await leaveAfter("last");
    return {
      answers: answers().filter(({ id }) => id !== "begin" && id !== "last"),
      told: shell.err(),
    };
  }

  const secret = "not-for-logs";
  const error = (code: number, id: string | number | null = null) => [
    expect.objectContaining({ jsonrpc: "2.0", id, error: { code, message: expect.any(String) } }),
  ];

  it.each<readonly [string, readonly (string | Buffer)[], readonly unknown[]]>([
    ["no JSON", [`${secret}\n`], error(-32700)],
    ["JSON that is cut off", [`{"jsonrpc":"2.0","id":7,"method":"${secret}"\n`], error(-32700)],
    ["no JSON, in parts", [`{"${secret}`, '"', "\r", "\n"], error(-32700)],
    ["bytes that are no UTF-8", [Buffer.from([0xff, 0xfe, 0x0a])], error(-32700)],
    ["a number", ["42\n"], error(-32600)],
    ["a batch", [`[{"jsonrpc":"2.0","id":7,"method":"${secret}"}]\n`], error(-32600)],
    ["another version", ['{"jsonrpc":"1.0","id":7,"method":"ping"}\n'], error(-32600, 7)],
    ["an id that is an object", ['{"jsonrpc":"2.0","id":{},"method":"ping"}\n'], error(-32600)],
    ["a method that is no text", ['{"jsonrpc":"2.0","id":"x","method":1}\n'], error(-32600, "x")],
    ["two lines", ["{\n[\n"], [...error(-32700), ...error(-32700)]],
  ])("answers %s with the error of JSON-RPC, and goes on", async (_what, chunks, expected) => {
    const { answers, told } = await answersTo(...chunks);
    expect(answers).toEqual(expected);
    const lines = told.trimEnd().split("\n");
    expect(lines).toHaveLength(expected.length);
    for (const line of lines) expect(line).toMatch(/^nexusd: mcp: a line on standard input is refused \(-32/);
    expect(told + JSON.stringify(answers)).not.toContain(secret);
  });

  it("answers nothing to empty lines, and says that a response is broken", async () => {
    const { answers, told } = await answersTo("\n", " \r\n", '{"jsonrpc":"2.0","id":[],"result":1}\n');
    expect(answers).toEqual([]);
    expect(told.match(/is refused/g)).toHaveLength(1);
  });

  it("answers a last line without its end", async () => {
    const { input, exitCode, answers } = await host();
    input.end("{");
    expect(await exitCode).toBe(0);
    expect(answers()).toEqual(error(-32700));
  });

  it("takes messages that come in any pieces", async () => {
    const { input, leaveAfter, answers } = await host();
    for (const byte of Buffer.from(`${JSON.stringify(initialize)}\n`)) input.write(Buffer.from([byte]));
    await leaveAfter("begin");
    expect(answers()).toMatchObject([{ id: "begin", result: { protocolVersion: "2025-11-25" } }]);
  });

  it("renews the lease of its key as long as its host is there", async () => {
    let renewals = 0;
    const renewLease = () => ({ lease: durationFromMs(60_000), endsAt: timestampFromMs(++renewals) });
    daemon.api.access = { renewLease };
    const { input, shell, exitCode } = await host();
    await expect.poll(() => renewals).toBe(1);
    await expect
      .poll(() => {
        shell.clock.advance(20_000);
        return renewals;
      })
      .toBeGreaterThan(1);
    input.end();
    expect(await exitCode).toBe(0);
    const { pending } = shell.clock;
    expect(pending).toBe(0);
  });

  it("does not start for a provider that does not exist", async () => {
    daemon.addProvider();
    const { shell, exitCode, answers } = await host("--provider", "github", "--provider", "githup");
    expect(await exitCode).toBe(1);
    expect(shell.err()).toBe("nexusd: cannot find the provider githup: not found\ndid you mean github?\n");
    expect(answers()).toEqual([]);
  });

  it.each([["GitHub"], [providerId]])("takes --provider %s as other commands do", async (given) => {
    daemon.addProvider();
    const { input, shell, exitCode } = await host("--provider", given);
    input.end();
    expect(await exitCode).toBe(0);
    expect(shell.err()).toBe("");
  });

  it.each([
    [["ada"], [], "this key is for user ada; you asked for root, as nexusd mcp --user says\n"],
    [["ada", "root"], [], /^root has no connection yet: .* run nexusd connect PROVIDER --user root; /],
    [[], ["root"], ""],
  ])("warns of a user whom its model can do nothing for: key for %j", async (userIds, connected, warning) => {
    daemon.usersOfKey = userIds;
    daemon.connections.splice(0);
    for (const userId of connected) daemon.addConnection({ userId });
    const { input, shell, exitCode } = await host("--user", "root");
    input.end();
    expect(await exitCode).toBe(0);
    expect(shell.err().replace(/^nexusd: warning: /, "")).toEqual(
      typeof warning === "string" ? warning : expect.stringMatching(warning),
    );
  });

  it("does not start for a user without a name", async () => {
    const { exitCode, shell } = await host("--user", "");
    expect([await exitCode, shell.err()]).toEqual([2, expect.stringContaining("--user must name a user")]);
  });

  it("starts while the daemon cannot be asked, and says so", async () => {
    daemon.failures.set("GetProvider", new ConnectError("it is starting", Code.Unavailable));
    const { input, shell, exitCode } = await host("--provider", "github");
    input.end();
    expect(await exitCode).toBe(0);
    expect(shell.err()).toMatch(
      /^nexusd: warning: --provider github is not checked: cannot find the provider/,
    );
  });
});
