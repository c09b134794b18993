import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../../src/config/config.js";
import { exitCodes } from "../../../src/core/exit_codes.js";
import { needs } from "../../needs.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { DaemonProcess } from "../daemon_process.js";
import { Place } from "../harness.js";

describe("unit", () => {
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
});

describe("readiness", () => {
  beforeEach((context) => needs(context, "python3"));

  /** As systemd listens: a datagram socket, and who sent. */
  const receiver = `
import json, socket, struct, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("bound"), flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("3i", ancillary[0][2])[0]
    print(json.dumps([pid, data.decode()]), flush=True)
`;

  it.each([
    ["a path", () => join(temporaryFolder(), "notify")],
    ["an abstract name", () => `@nexusd-test-${process.pid}`],
  ])("tells a service manager at %s that it is ready, alive, and ending", async (_name, address) => {
    const path = address();
    const manager = spawn("python3", ["-c", receiver, path], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(async () => {
      manager.kill();
      await once(manager, "close");
    });
    const lines = createInterface({ input: manager.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<unknown> => JSON.parse((await lines.next()).value as string);
    expect(await next()).toBe("bound");
    const place = await Place.make();
    const daemon = new DaemonProcess({ ...place.environment, NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000" });
    // Main process, which NotifyAccess=main asks for.
    expect(await next()).toEqual([daemon.pid, "READY=1\nSTATUS=serving\n"]);
    await daemon.ready();
    expect(await next()).toEqual([daemon.pid, "WATCHDOG=1\n"]);
    expect(await next()).toEqual([daemon.pid, "WATCHDOG=1\n"]);
    daemon.signal("SIGTERM");
    const rest: unknown[] = [];
    while (!JSON.stringify(rest).includes("STOPPING=1")) rest.push(await next());
    expect(await daemon.exited).toBe(0);
  });

  it("serves when the manager does not listen any more", async () => {
    const place = await Place.make();
    const nowhere = join(temporaryFolder(), "nobody");
    const daemon = new DaemonProcess({ ...place.environment, NOTIFY_SOCKET: nowhere });
    await daemon.ready();
    await daemon.wrote(/the service manager could not be notified/);
    expect(await daemon.kill("SIGTERM")).toBe(0);
  });
});

describe("compose", () => {
  const root = join(import.meta.dirname, "../../..");
  const file = join(root, "deploy/compose.yaml");
  const text = readFileSync(file, "utf8");
  /** As the comments say, with the key apart from the store. */
  const withKey = text
    .replace(/^ {4}# {3}NEXUS_ENC/m, "      NEXUS_ENC")
    .replace(/^ {4}# secrets/m, "    secrets")
    .replace(/^# secrets:\n# {3}encryption_key:\n# {5}file:/m, "secrets:\n  encryption_key:\n    file:");

  function composed(content: string): unknown {
    const copy = join(temporaryFolder(), "compose.yaml");
    writeFileSync(copy, content.replace("build: ..", `build: ${root}`));
    const { status, stdout, stderr } = spawnSync("docker-compose", ["-f", copy, "config"], {
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
    return parse(stdout);
  }

  describe("deploy/compose.yaml", () => {
    it("is what the tool takes, as it stands and with a key of its own", (context) => {
      needs(context, "docker-compose");
      expect(composed(text)).toMatchObject({
        services: {
          nexusd: { read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] },
        },
      });
      expect(withKey).not.toBe(text);
      expect(composed(withKey)).toMatchObject({
        services: { nexusd: { environment: { NEXUS_ENCRYPTION_KEY_FILE: "/run/secrets/encryption_key" } } },
      });
    });

    it("fits the image: its folder of data, its port, its program", () => {
      const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
      const { services } = parse(text);
      const [volume] = services.nexusd.volumes as string[];
      expect(dockerfile).toContain(`VOLUME ${volume?.split(":")[1]}\n`);
      expect(dockerfile).toContain(`EXPOSE ${services.nexusd.ports[0].split(":").at(-1)}\n`);
      const [, program] = /exec nexusd (\S+ \S+) provider add/.exec(text) ?? [];
      expect(dockerfile).toContain(`ENTRYPOINT ${JSON.stringify(program?.split(" ")).replace(",", ", ")}`);
      expect(join(dirname(file), services.nexusd.build)).toBe(root);
    });
  });
});
