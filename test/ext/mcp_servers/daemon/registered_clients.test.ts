import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { failureOf } from "../../../daemon/errors.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { Browser } from "../../../fakes/browser.js";
import { MemoryMcpServer } from "../../../fakes/memory_mcp_server.js";
import { perTest } from "../../../lifetimes.js";

const world = perTest(() => TestDaemon.start());
const mcp = perTest(() => MemoryMcpServer.start());

const acquire = (userId = "ada") =>
  world.clients.tokens.acquireToken({ mcpServerUrl: mcp.url, userId }).then(({ result }) => result);

async function link(userId = "ada") {
  const asked = await acquire(userId);
  if (asked.case !== "consent") throw new Error(`a ${asked.case}`);
  return asked.value;
}

/** The person opens the link: the server consents at once. */
const open = (authUrl: string) => new Browser().get(authUrl);

async function connected(userId = "ada"): Promise<string> {
  const { authUrl, connectionId } = await link(userId);
  const page = await open(authUrl);
  if (page.status !== 200) throw new Error(page.body);
  return connectionId;
}

async function isServed(userId = "ada"): Promise<boolean> {
  const given = await acquire(userId);
  return given.case === "token" && mcp.isAlive(given.value.credentials["access_token"] ?? "");
}

const connectionOf = async (connectionId: string) =>
  (await world.clients.connections.getConnection({ connectionId })).connection;

/** The token has ended, and the server has refused the client of the refresh. */
async function refused(connectionId: string): Promise<void> {
  world.clock.advance(2 * 3_600_000);
  await failureOf(world.clients.tokens.refreshToken({ connectionId }));
  const connection = await connectionOf(connectionId);
  expect(connection).toMatchObject({
    status: ConnectionStatus.ATTENTION,
    problem: { reason: "misconfigured" },
  });
}

describe("a client that the daemon registers", () => {
  it("is one whose id and secret stand in the body, where the server takes that", async () => {
    await connected();
    expect(mcp.registered).toEqual(["client_secret_post"]);
    expect(await isServed()).toBe(true);
  });

  it("is registered once more, for another method, when the server refuses it at the first exchange", async () => {
    mcp.methods = ["client_secret_post", "none"];
    mcp.onlyMethod = "none";
    const { authUrl, connectionId } = await link();
    const page = await open(authUrl);
    expect(page.status).not.toBe(200);
    const { problem } = (await connectionOf(connectionId)) ?? {};
    expect(problem).toMatchObject({ reason: "client_rejected" });
    expect(problem?.message).toContain("invalid_client");
    expect(problem?.message).toContain("registered another one for none: consent again");
    expect(mcp.registered).toEqual(["client_secret_post", "none"]);
    await connected();
    expect(await isServed()).toBe(true);
  });

  it("is not replaced while others use it, and no other method is advised", async () => {
    await connected("eve");
    mcp.onlyMethod = "client_secret_basic";
    const { authUrl, connectionId } = await link();
    await open(authUrl);
    const { problem } = (await connectionOf(connectionId)) ?? {};
    expect(problem).toMatchObject({ reason: "client_rejected" });
    expect(problem?.message).not.toContain("--auth-method");
    expect(mcp.registered).toHaveLength(1);
    expect(await isServed("eve")).toBe(true);
  });
});

describe("a client that its server has lost", () => {
  it("is registered anew when an agent asks for a token", async () => {
    const connectionId = await connected();
    mcp.restart();
    await refused(connectionId);
    expect((await link()).connectionId).toBe(connectionId);
    expect(mcp.registered).toHaveLength(2);
    await connected();
    expect(await isServed()).toBe(true);
  });

  it("is registered anew for all, though the server has refused it to one of them alone", async () => {
    const connectionId = await connected();
    await connected("eve");
    mcp.restart();
    await refused(connectionId);
    await connected();
    expect(mcp.registered).toHaveLength(2);
    expect(await isServed()).toBe(true);
    expect(await isServed("eve")).toBe(false);
  });

  it.each([false, true])(
    "is registered anew when a link is opened that was made before: %s",
    async (hasErrorPage) => {
      mcp.hasErrorPage = hasErrorPage;
      const { authUrl } = await link();
      mcp.restart();
      // In the first minute the registration itself shows that the server knows the client.
      world.clock.advance(61_000);
      expect(await open(authUrl)).toMatchObject({ status: 200 });
      expect(mcp.registered).toHaveLength(2);
      expect(await isServed()).toBe(true);
    },
  );

  it("is kept where the server sends nobody on, whoever comes", async () => {
    const { authUrl } = await link();
    mcp.wall = 403;
    for (let times = 0; times < 2; times++) expect(await open(authUrl)).toMatchObject({ status: 403 });
    expect(mcp.registered).toHaveLength(2);
    mcp.wall = undefined;
    expect(await open(authUrl)).toMatchObject({ status: 200 });
    expect(await isServed()).toBe(true);
  });
});
