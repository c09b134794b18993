import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { exitCodes } from "../../../src/daemon/exit_codes.js";
import { needs } from "../../needs.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { DaemonProcess } from "../daemon_process.js";
import { Place } from "../harness.js";

const root = join(import.meta.dirname, "../../..");
const unit = readFileSync(join(root, "deploy/systemd/nexusd.service"), "utf8");
const valuesOf = (name: string): string[] =>
  unit.split("\n").flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));

beforeEach((context) => needs(context, "systemd"));

/** The unit with a program that is there. */
function unitFile(): string {
  const file = join(temporaryFolder(), "nexusd.service");
  writeFileSync(file, unit.replace("/usr/local/bin/nexusd", join(root, "dist/main.js")));
  return file;
}

describe("deploy/systemd/nexusd.service", () => {
  it("is a unit without an error or a warning", () => {
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", unitFile()], {
      encoding: "utf8",
    });
    expect([status, stdout, stderr]).toEqual([0, "", ""]);
  });

  it("exposes little, as systemd measures it", () => {
    const threshold = ["--offline=true", "--threshold=16", "--no-pager"];
    const { status, stdout } = spawnSync("systemd-analyze", ["security", ...threshold, unitFile()], {
      encoding: "utf8",
    });
    expect([status, /Overall exposure level.*/.exec(stdout)?.[0]]).toEqual([
      0,
      expect.stringContaining("OK"),
    ]);
  });

  it("is not started anew for what another start does not mend", () => {
    const { usage, dataFolderInUse, wrongEncryptionKey, storeDamaged } = exitCodes;
    const codes = [usage, dataFolderInUse, wrongEncryptionKey, storeDamaged];
    expect(valuesOf("RestartPreventExitStatus")).toEqual([codes.join(" ")]);
  });

  it("says settings that the daemon takes: folders, socket and key are where systemd puts them", () => {
    const expanded = valuesOf("Environment")
      .join(" ")
      .replaceAll("%S", "/var/lib")
      .replaceAll("%t", "/run")
      .replaceAll("%d", "/run/credentials/nexusd.service");
    const config = loadConfig(
      Object.fromEntries(expanded.split(" ").map((pair) => pair.split("="))),
      {},
      { isTTY: false },
    );
    expect(config.dataDir).toBe(`/var/lib/${valuesOf("StateDirectory")}`);
    expect(config.grpcListen).toEqual([
      { kind: "unix", path: `/run/${valuesOf("RuntimeDirectory")}/nexus.sock` },
    ]);
    const [credential] = valuesOf("LoadCredential")[0]?.split(":") ?? [];
    expect(config.encryptionKey).toEqual({
      source: "file",
      path: `/run/credentials/nexusd.service/${credential}`,
    });
    expect(config.drainTimeoutMs).toBeLessThan(Number(valuesOf("TimeoutStopSec")) * 1000);
  });

  it("allows every system call of a daemon that serves and ends", async (context) => {
    needs(context, "strace");
    const place = await Place.make();
    const trace = join(temporaryFolder(), "trace");
    const daemon = new DaemonProcess(place.environment, ["serve"], ["strace", "-f", "-qq", "-o", trace]);
    await daemon.ready();
    expect((await place.clients().status.getStatus({})).version).not.toBe("");
    // strace passes no signal on: the daemon is its child.
    const [pid = ""] = /^\d+/.exec(readFileSync(trace, "utf8")) ?? [];
    process.kill(Number(pid), "SIGTERM");
    await daemon.exited;
    const used = new Set(
      [...readFileSync(trace, "utf8").matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, name]) => name ?? ""),
    );
    expect(used.size).toBeGreaterThan(40);
    const allowed = new Set<string>();
    for (const value of valuesOf("SystemCallFilter")) {
      const isDenied = value.startsWith("~");
      for (const call of value
        .slice(isDenied ? 1 : 0)
        .split(" ")
        .flatMap(callsOf)) {
        if (isDenied) allowed.delete(call);
        else allowed.add(call);
      }
    }
    expect([...used].filter((call) => !allowed.has(call))).toEqual([]);
  });
});

/** The calls of a set of systemd's, and of the sets in it. */
function callsOf(set: string): string[] {
  const text = execFileSync("systemd-analyze", ["syscall-filter", set, "--no-pager"], { encoding: "utf8" });
  const names = text
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
  return names
    .filter((name) => name !== "" && !name.startsWith("#"))
    .flatMap((name) => (name.startsWith("@") ? callsOf(name) : [name]));
}
