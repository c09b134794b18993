import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { perTest } from "../lifetimes.js";
import { FakeDaemon } from "./fake_daemon.js";
import { fakeShell } from "./fake_shell.js";

describe("nexusd without a command", () => {
  const daemon = perTest(() => new FakeDaemon());
  beforeEach(async () => {
    daemon.api.connections = {
      listConnections: ({ status }) => ({
        connections: daemon.connections.filter((connection) => connection.status === status),
      }),
    };
    await daemon.start();
  });

  const shown = async (env = daemon.env): Promise<[code: number, text: string]> => {
    const shell = fakeShell({ env, program: "npx nexusd" });
    const code = await run([], shell);
    return [code, shell.out() + shell.err()];
  };

  it("says how to start where no daemon runs", async () => {
    const [code, text] = await shown({ NEXUS_DATA_DIR: "/nonexistent" });
    expect(code).toBe(0);
    expect(text).toMatch(
      /^No daemon is running here.\nStart one.*: npx nexusd serve\nAll.*npx nexusd --help\n$/,
    );
  });

  it("says how to add the first provider", async () => {
    expect(await shown()).toEqual([0, expect.stringContaining("\nAdd one: npx nexusd provider add\n")]);
  });

  it("says how to make the first connection", async () => {
    daemon.addProvider();
    expect(await shown()).toEqual([0, expect.stringContaining(": npx nexusd connect github\n")]);
  });

  it("says how to get a new link while a user has not consented", async () => {
    daemon.addProvider();
    daemon.addConnection({ status: ConnectionStatus.PENDING });
    expect(await shown()).toEqual([0, expect.stringContaining(": npx nexusd connect github/alice\n")]);
  });

  it("says how to read a token when all is well", async () => {
    daemon.addConnection({ status: ConnectionStatus.ACTIVE });
    expect(await shown()).toEqual([
      0,
      expect.stringMatching(/^All is well: 1 connection active.\n.*: npx nexusd token github\/alice\n/),
    ]);
  });

  it("says that users must act before anything else", async () => {
    daemon.addConnection({ status: ConnectionStatus.ACTIVE });
    daemon.addConnection({ status: ConnectionStatus.ATTENTION });
    expect(await shown()).toEqual([
      0,
      expect.stringContaining("for 1 connection.\nSee which: npx nexusd connections --status attention\n"),
    ]);
  });

  it("says which connections failed, why, and what to do, also beside one that is active", async () => {
    daemon.addConnection({ status: ConnectionStatus.ACTIVE });
    const denied = { reason: "access_denied", message: "The user denied.\nmore" };
    const rejected = { reason: "client_rejected", message: "The provider refused the client." };
    daemon.addConnection({ status: ConnectionStatus.FAILED, userId: "bob", problem: denied as never });
    daemon.addConnection({ status: ConnectionStatus.FAILED, userId: "eve", problem: rejected as never });
    expect(await shown()).toEqual([
      0,
      expect.stringMatching(
        /^2 connections failed:\n {2}github\/bob: The user denied.\n {2}github\/eve: The provider refused the client.\nConsent again: npx nexusd connect github\/bob\nOr delete it: npx nexusd connections delete github\/bob\n/,
      ),
    ]);
  });

  it("says to correct the provider where consent alone brings nothing", async () => {
    const problem = { reason: "client_rejected", message: "The provider refused the client." };
    daemon.addConnection({ status: ConnectionStatus.FAILED, problem: problem as never });
    expect((await shown())[1]).toContain(
      "\nCorrect the provider with npx nexusd provider update github, then consent again: npx nexusd connect github/alice\n",
    );
  });

  it("says what the daemon refuses", async () => {
    daemon.failures.set("ListConnections", new ConnectError("not for you", Code.PermissionDenied));
    expect(await shown()).toEqual([1, expect.stringContaining("cannot list the connections: not for you")]);
  });
});
