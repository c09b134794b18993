import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { freePort } from "../free_port.js";
import { temporaryFolder } from "../temporary_folder.js";
import { DaemonProcess } from "./daemon_process.js";

/** Of four ports in a row. */
async function freePortBase(): Promise<number> {
  for (;;) {
    const [first, second, third] = [await freePort(), await freePort(), await freePort()];
    if (second === first + 1 && third === first + 2 && (await freePort()) === first + 3) return first;
  }
}

it("runs two daemons of one user, each by one setting, and commands find the one that is meant", async () => {
  const home = temporaryFolder();
  const environment = { HOME: home, XDG_DATA_HOME: join(home, "data"), NEXUS_LOG_FORMAT: "json" };
  const bases = [await freePortBase(), await freePortBase()];
  const daemons = bases.map((base) => new DaemonProcess(environment, ["serve", "--port-base", `${base}`]));
  onTestFinished(async () => {
    await Promise.all(daemons.map((daemon) => daemon.kill("SIGTERM")));
  });
  await Promise.all(daemons.map((daemon) => daemon.ready()));
  const nexusd = async (...args: string[]): Promise<string> => {
    const process = new DaemonProcess(environment, args);
    expect([args, await process.exited]).toEqual([args, 0]);
    return process.output;
  };
  const [first = 0, second = 0] = bases;
  await nexusd("provider", "add", "weather", "--auth-type", "api_key", "--port-base", `${first}`);
  expect(await nexusd("provider", "list", "--port-base", `${first}`)).toContain("weather");
  expect(await nexusd("provider", "list", "--port-base", `${second}`)).not.toContain("weather");
  expect(await nexusd("whoami", "--port-base", `${second}`)).toContain(
    `${join(home, "data", `nexusd-${second}`)}/nexus.sock`,
  );
  expect(await nexusd("health", "--port-base", `${first}`)).toBe("ready\n");
  expect(await nexusd("open", "--port-base", `${first}`)).toMatch(
    new RegExp(`^http://127\\.0\\.0\\.1:${first + 3}/open\\?code=[\\w-]{43}\n`),
  );
  const page = await fetch(`http://localhost:${second + 1}/`);
  expect(page.status).toBe(200);
});
