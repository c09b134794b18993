import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { Store } from "../src/store/store.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { start } from "./children.js";
import { differenceFigure, type Figure, percentile } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { fanOut, refreshed, subscribers, type WatchedServer } from "./watch.js";

/** From the answer of the provider to the update at a subscriber, beside a durable commit alone. */
export async function refreshLatencyFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  // A hundred and more, so that the 99th percentile of a series is not its slowest one.
  const { series, updatesPerSeries } = quick
    ? { series: 1, updatesPerSeries: 120 }
    : { series: 5, updatesPerSeries: 200 };
  const provider = start("bench_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const groups = [{ count: 1, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const { place, ids } = await filledPlace(groups, { origin });
  const [[connectionId = ""] = []] = ids;
  const daemon = new DaemonProcess(place.environment);
  const beside = await Place.make();
  mkdirSync(beside.config.dataDir, { recursive: true, mode: 0o700 });
  const store = Store.open({ folder: beside.config.dataDir, nowMs: Date.now() });
  const taken = { ours: [] as number[], theirs: [] as number[] };
  try {
    await daemon.ready();
    const { tokens } = place.clients();
    const server: WatchedServer = {
      pid: daemon.pid,
      socket: place.socket,
      update: () => refreshed(tokens, provider, connectionId),
    };
    const watch = { connectionIds: [connectionId], bookmarkInterval: { seconds: 120n, nanos: 0 } };
    const request = toBinary(WatchTokensRequestSchema, create(WatchTokensRequestSchema, watch));
    const client = await subscribers(server, 1, request);
    for (let index = 0; index < series; index++) {
      const updateMs: number[] = [];
      const commitMs: number[] = [];
      for (let round = -20; round < updatesPerSeries; round++) {
        const ms = await fanOut(server, client);
        const startedMs = performance.now();
        await store.commit((tx) =>
          tx.appendAudit({ timeMs: Date.now(), type: "token_refreshed", principal: "daemon" }),
        );
        if (round < 0) continue;
        updateMs.push(ms);
        commitMs.push(performance.now() - startedMs);
      }
      taken.ours.push(percentile(updateMs, 0.99));
      taken.theirs.push(percentile(commitMs, 0.99));
    }
    client.disconnect();
  } finally {
    provider.disconnect();
    await daemon.kill("SIGKILL");
    await store.close();
    for (const used of [place, beside]) rmSync(used.config.dataDir, { recursive: true, force: true });
  }
  return [
    differenceFigure({
      name: "answer of the provider to the update at a subscriber, p99",
      unit: "ms",
      ...taken,
      against: "a durable commit, p99",
      atMost: 1,
    }),
  ];
}
