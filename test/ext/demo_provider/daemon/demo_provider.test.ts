import { expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { Browser } from "../../../fakes/browser.js";
import { freePort } from "../../../free_port.js";
import { perTest } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";

/** The command in a process of its own, and a daemon that reaches its port alone. */
async function start() {
  const port = await freePort();
  const environment = { NEXUS_DATA_DIR: temporaryFolder() };
  const provider = new DaemonProcess(environment, ["demo-provider", "--port", String(port)]);
  await provider.wrote(/The demo provider runs at/);
  const daemon = await TestDaemon.start({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: String(port) });
  const nexusd = async (...args: string[]) => {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: daemon.place.config.dataDir } });
    return { code: await run(args, shell), out: shell.out(), err: shell.err() };
  };
  const close = async () => {
    await daemon.close();
    await provider.kill("SIGKILL");
  };
  return { port, environment, provider, daemon, nexusd, close };
}

const world = perTest(start);

it("lets a user try nexusd without an account: add, connect, call, refresh", async () => {
  const { port, provider, daemon, nexusd } = world;
  const issuer = `http://127.0.0.1:${port}`;
  const [, add = ""] = await provider.wrote(/ (provider add demo [\s\S]*?)\n.*connect demo/);
  expect(await nexusd(...add.replaceAll("\\\n", " ").trim().split(/\s+/))).toMatchObject({
    code: 0,
    err: "",
  });
  const { authUrl, connectionId } = await daemon.clients.connections.requestConnection({
    userId: "ada",
    provider: { case: "providerName", value: "demo" },
  });
  const browser = new Browser();
  const page = await browser.get(authUrl);
  expect(page.body).toContain("Allow access?");
  expect((await browser.submit(page, { decision: "allow" })).body).toContain("Connected");
  expect(await nexusd("curl", "demo/ada", "/user")).toMatchObject({
    code: 0,
    out: '{"sub":"ada","login":"ada","token":1}\n',
  });
  await daemon.clients.tokens.refreshToken({ connectionId });
  expect((await nexusd("curl", "demo/ada", "/user")).out).toContain('"token":2');
  await provider.wrote(/issued token 2 for ada \(refresh_token\)/);

  const beside = await nexusd(
    "provider",
    "add",
    "beside",
    "--client-id",
    "demo",
    "--auth-method",
    "none",
    "--issuer",
    issuer.replace(`${port}`, "9"),
  );
  expect([beside.code, beside.err]).toEqual([1, expect.stringContaining("NEXUS_ALLOW_LOOPBACK_PROVIDERS")]);
});

it("says how to start it where its port is in use", async () => {
  const second = new DaemonProcess(world.environment, ["demo-provider", "--port", String(world.port)]);
  expect(await second.exited).toBe(1);
  expect(second.output).toContain("the port is in use: choose another one with --port");
});
