import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { HostileListener } from "../fakes/hostile_listener.js";
import { HostileServer } from "../fakes/hostile_server.js";
import { DaemonProcess } from "./daemon_process.js";
import { Place } from "./harness.js";

const storeNotWritten = 14;
/** When lmdb's writer thread does not come back from a failed write. */
const killedItself = "SIGKILL";
const connectionCount = 8;
/** Left in the small file system when the faults begin: a few pages of the store. */
const roomBytes = 48 * 1024;

function works(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

const canTrace = works("strace", "-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "true");

function mountSmall(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "nexus-small-"));
  return works("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "none", folder) ? folder : undefined;
}

function injected(call: string, error: string): string[] {
  const inject = `inject=${call}:error=${error}:when=60+`;
  return ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
}

describe("a store that cannot be written any more", () => {
  let server: HostileServer;
  let listener: HostileListener;
  let small: string | undefined;
  let place: Place;
  let daemon: DaemonProcess;
  beforeEach(async () => {
    server = new HostileServer(16);
    listener = new HostileListener(server);
    small = mountSmall();
    place = await Place.make(small === undefined ? {} : { NEXUS_DATA_DIR: small });
    daemon = new DaemonProcess(place.environment);
    await daemon.ready();
  });
  afterEach(async () => {
    await daemon.kill("SIGKILL");
    await listener.close();
    if (small !== undefined) spawnSync("umount", [small]);
    rmSync(place.config.dataDir, { recursive: true, force: true });
  });

  /** Registers the hostile provider and consents, the code of each consent being the id of its connection. */
  const connect = async (): Promise<string[]> => {
    const origin = await listener.open();
    const { provider } = await place.clients().providers.createProvider({
      provider: {
        name: "op",
        clientId: "client",
        tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
        authUrl: `${origin}/op/auth`,
        tokenUrl: `${origin}/op/token`,
      },
    });
    const ids: string[] = [];
    for (let count = 0; count < connectionCount; count++) {
      const { connectionId, authUrl, state } = await place.clients().connections.requestConnection({
        userId: "ada",
        provider: { case: "providerId", value: provider?.id ?? "" },
      });
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

  const faults: [name: string, can: boolean, wrapper: readonly string[]][] = [
    ["a full disk", true, []],
    ["EIO on write", canTrace, injected("pwrite64,pwritev", "EIO")],
    ["EIO on sync", canTrace, injected("fdatasync", "EIO")],
    ["ENOSPC on write", canTrace, injected("pwrite64,pwritev", "ENOSPC")],
  ];
  it.each(faults)(
    "%s: ends with its code, shows nothing that is not on disk, and goes on after",
    async (name, can, wrapper) => {
      const isFull = name === "a full disk";
      if (!can || (isFull && small === undefined)) return;
      const ids = await connect();
      await daemon.kill("SIGTERM");
      if (isFull) {
        const { bavail, bsize } = statfsSync(place.config.dataDir);
        writeFileSync(join(place.config.dataDir, "ballast"), Buffer.alloc(bavail * bsize - roomBytes));
      }
      daemon = new DaemonProcess(place.environment, ["serve"], wrapper);
      await daemon.ready();
      const shown = await hammer(ids);
      expect([storeNotWritten, killedItself]).toContain(await daemon.exited);
      expect(daemon.output).toContain("the store cannot be written");
      expect(Math.max(...Array.from(shown.values(), Number))).toBeGreaterThan(1);

      if (isFull) rmSync(join(place.config.dataDir, "ballast"));
      daemon = new DaemonProcess(place.environment);
      await daemon.ready();
      for (const connectionId of ids) {
        const { connection } = await place.clients().connections.getConnection({ connectionId });
        expect(connection?.revision).toBeGreaterThanOrEqual(shown.get(connectionId) ?? 0n);
        const refreshed = place.clients().tokens.refreshToken({ connectionId });
        const isRefreshed = await refreshed.then(
          () => true,
          () => false,
        );
        if (isRefreshed) continue;
        // Its new token set died with the process: that, and nothing else, may cost a grant.
        const { connection: lost } = await place.clients().connections.getConnection({ connectionId });
        expect([lost?.status, lost?.problem?.reason]).toEqual([
          ConnectionStatus.ATTENTION,
          "outcome_unknown",
        ]);
      }
      expect(server.violations.filter((text) => !text.startsWith("I2"))).toEqual([]);
    },
    60_000,
  );
});
