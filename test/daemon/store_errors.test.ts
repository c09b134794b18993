import { spawnSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { HostileListener } from "../fakes/hostile_listener.js";
import { HostileServer } from "../fakes/hostile_server.js";
import { perTest } from "../lifetimes.js";
import { has, mountTmpfs, type NeedName, needs } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { DaemonProcess } from "./daemon_process.js";
import { Place } from "./harness.js";
import { registered, requestOf } from "./requests.js";

const storeNotWritten = 14;
/** Where lmdb's writer thread does not come back from a failed write, and Node.js has no other way to end. */
const ends: readonly (number | string)[] = [storeNotWritten, ...("execve" in process ? [] : ["SIGKILL"])];
const connectionCount = 8;
/** Left in the small file system when the errors begin: a few pages of the store. */
const roomBytes = 48 * 1024;

/** @param of the file that the error is for; every one when left out */
function injected(call: string, error: string, of?: "nexus.mdb"): (folder: string) => string[] {
  const inject = `inject=${call}:error=${error}:when=60+`;
  return (folder) => [
    ...["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject],
    ...(of === undefined ? [] : ["-P", join(folder, of)]),
  ];
}

/** Takes all room but `leftBytes`. Answers the path of what to remove to have it back. */
function fill(folder: string, leftBytes: number): string {
  const path = join(folder, "ballast");
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(path, Buffer.alloc(bavail * bsize - leftBytes));
  return path;
}

interface Violation {
  readonly name: string;
  readonly needed: NeedName;
  readonly wrapper: (folder: string) => readonly string[];
  /** Whether the spool file can be written meanwhile: then no grant is lost at all. */
  readonly isSpooled: boolean;
}

const violations: readonly Violation[] = [
  { name: "a full disk", needed: "mount", wrapper: () => [], isSpooled: true },
  {
    name: "ENOSPC on write",
    needed: "strace",
    wrapper: injected("pwrite64,pwritev", "ENOSPC", "nexus.mdb"),
    isSpooled: true,
  },
  {
    name: "EIO on write",
    needed: "strace",
    wrapper: injected("pwrite64,pwritev", "EIO", "nexus.mdb"),
    isSpooled: true,
  },
  { name: "EIO on sync", needed: "strace", wrapper: injected("fdatasync", "EIO"), isSpooled: true },
  {
    name: "EIO on every write",
    needed: "strace",
    wrapper: injected("pwrite64,pwritev", "EIO"),
    isSpooled: false,
  },
];

describe("a store that cannot be written any more", () => {
  const server = perTest(() => new HostileServer(16));
  const listener = perTest(() => new HostileListener(server));
  let small: string | undefined;
  let place: Place;
  let daemon: DaemonProcess;
  beforeEach(async () => {
    small = has("mount") ? temporaryFolder() : undefined;
    if (small !== undefined && mountTmpfs(small))
      onTestFinished(() => void spawnSync("umount", [small ?? ""]));
    place = await Place.make({
      NEXUS_MAX_REJECTIONS_PER_HOUR: "3600",
      ...(small !== undefined && { NEXUS_DATA_DIR: small }),
    });
    daemon = new DaemonProcess(place.environment);
    await daemon.ready();
  });
  afterEach(async () => {
    await daemon.kill("SIGKILL");
  });

  /** Registers the hostile provider and consents, the code of each consent being the id of its connection. */
  const connect = async (): Promise<string[]> => {
    const origin = await listener.open();
    const providerId = await registered(place.clients(), {
      name: "op",
      clientId: "client",
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
      authUrl: `${origin}/op/auth`,
      tokenUrl: `${origin}/op/token`,
    });
    const ids: string[] = [];
    for (let count = 0; count < connectionCount; count++) {
      const { connectionId, authUrl, state } = await place
        .clients()
        .connections.requestConnection(requestOf(providerId));
      const started = await fetch(authUrl, { redirect: "manual" });
      const cookie = started.headers.get("set-cookie")?.split(";")[0] ?? "";
      const callback = `${place.environment["NEXUS_PUBLIC_URL"]}/auth/callback/op?state=${state}&code=${connectionId}`;
      expect((await fetch(callback, { headers: { cookie } })).status).toBe(200);
      ids.push(connectionId);
    }
    return ids;
  };

  /** Callers in a hurry, until the daemon is gone: answers the newest revision that each connection was shown at. */
  const hammer = async (ids: readonly string[]): Promise<Map<string, bigint>> => {
    const shown = new Map<string, bigint>();
    let isGone = false;
    void daemon.exited.then(() => {
      isGone = true;
    });
    const { tokens } = place.clients();
    const call = async (connectionId: string): Promise<void> => {
      while (!isGone) {
        const answer = await tokens.refreshToken({ connectionId }).catch(() => undefined);
        if (answer?.token) shown.set(connectionId, answer.token.revision);
        else await Promise.race([daemon.exited, new Promise((resolve) => setImmediate(resolve))]);
      }
    };
    await Promise.all(ids.map(call));
    return shown;
  };

  it("a provider that rotates while the disk is full: its token sets are there after a restart", async (context) => {
    needs(context, "mount");
    const ids = await connect();
    server.script = () => "slow";
    const { tokens, connections, providers } = place.clients();
    for (const connectionId of ids) void tokens.refreshToken({ connectionId }).catch(() => undefined);
    while (server.held < ids.length) await new Promise((resolve) => setImmediate(resolve));
    const ballast = fill(place.config.dataDir, 0);
    const description = "x".repeat(1000);
    const urls = { authUrl: "http://127.0.0.1:1/auth", tokenUrl: "http://127.0.0.1:1/token" };
    for (let count = 0; !daemon.output.includes("the store cannot be written"); count++) {
      const provider = {
        name: `filler-${count}`,
        clientId: "c",
        clientSecret: "s".repeat(1000),
        description,
      };
      await providers.createProvider({ provider: { ...provider, ...urls } }).catch(() => undefined);
    }
    server.release();
    expect(ends).toContain(await daemon.exited);

    // A start without room ends, or brings some of them home; the rest stays where it is.
    daemon = new DaemonProcess(place.environment);
    await Promise.race([daemon.exited, daemon.ready().catch(() => undefined)]);
    await daemon.kill("SIGKILL");
    rmSync(ballast);

    server.script = () => "rotate";
    daemon = new DaemonProcess(place.environment);
    await daemon.ready();
    for (const connectionId of ids) {
      const { connection } = await connections.getConnection({ connectionId });
      expect([connection?.status, connection?.revision]).toEqual([ConnectionStatus.ACTIVE, 2n]);
      const { token } = await tokens.refreshToken({ connectionId });
      expect(token?.revision).toBe(3n);
    }
    expect([server.violations, server.doubleRedemptions, server.probes]).toEqual([[], 0, 0]);
  }, 60_000);

  for (const { name, needed, wrapper, isSpooled } of violations) {
    const loss = isSpooled ? "no grant" : "only what came then";
    const title = `${name}: ends with its code, shows nothing that is not on disk, loses ${loss}`;
    it(title, async (context) => {
      needs(context, needed);
      const ids = await connect();
      await daemon.kill("SIGTERM");
      const folder = place.config.dataDir;
      const ballast = needed === "mount" ? fill(folder, roomBytes) : undefined;
      daemon = new DaemonProcess(place.environment, ["serve"], wrapper(folder));
      await daemon.ready();
      const shown = await hammer(ids);
      expect(ends).toContain(await daemon.exited);
      expect(daemon.output).toContain("the store cannot be written");
      expect(Math.max(...Array.from(shown.values(), Number))).toBeGreaterThan(1);

      if (ballast !== undefined) rmSync(ballast);
      daemon = new DaemonProcess(place.environment);
      await daemon.ready();
      const { connections, tokens } = place.clients();
      const dead: string[] = [];
      for (const connectionId of ids) {
        const { connection } = await connections.getConnection({ connectionId });
        expect(connection?.revision).toBeGreaterThanOrEqual(shown.get(connectionId) ?? 0n);
        const refreshed = tokens.refreshToken({ connectionId });
        const isRefreshed = await refreshed.then(
          () => true,
          () => false,
        );
        if (isRefreshed) continue;
        dead.push(connectionId);
        const { connection: lost } = await connections.getConnection({ connectionId });
        expect([lost?.status, lost?.problem?.reason]).toEqual([
          ConnectionStatus.ATTENTION,
          "outcome_unknown",
        ]);
      }
      if (isSpooled) expect(dead).toEqual([]);
      expect(server.violations.filter((text) => isSpooled || !text.startsWith("I2"))).toEqual([]);
    }, 60_000);
  }
});
