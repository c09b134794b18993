import { once } from "node:events";
import { rmSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { boundFigure, type Figure } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { cpuMs } from "./process_figures.js";
import { subscribers } from "./watch.js";

/** CPU of a daemon that has connections and subscribers, and nothing to do. */
export async function idleFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const seconds = quick ? 10 : 60;
  const groups = [{ count: 1_000, dueAtMs: Date.now() + 7_200_000 }];
  const {
    place,
    ids: [ids = []],
  } = await filledPlace(groups);
  const daemon = new DaemonProcess(place.environment);
  try {
    await daemon.ready();
    // As an agent holds it: three connections, bookmarks at the default interval.
    const request = toBinary(
      WatchTokensRequestSchema,
      create(WatchTokensRequestSchema, { connectionIds: ids.slice(0, 3) }),
    );
    const side = { pid: daemon.pid, socket: place.socket, update: () => Promise.resolve(() => 0n) };
    const client = await subscribers(side, 100, request);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const before = cpuMs(daemon.pid);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const value = (cpuMs(daemon.pid) - before) / (seconds * 10);
    client.disconnect();
    await once(client, "exit");
    return [
      boundFigure({
        name: `idle CPU over ${seconds} s, 1 000 connections, 100 subscribers`,
        unit: "% of a core",
        value,
        atMost: 0.1,
      }),
    ];
  } finally {
    await daemon.kill("SIGTERM");
    rmSync(place.config.dataDir, { recursive: true, force: true });
  }
}
