import { rmSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { answerOf, startServer } from "./children.js";
import { type Figure, ratioFigure } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { cpuMs } from "./process_figures.js";
import { makeAgentKey } from "./unary_stage.js";

const bareName = "bare node:http2";
const openingName = "bare node:http2, lmdb and AES-256-GCM";

interface Snapshot {
  readonly ms: number;
  readonly messages: number;
  readonly bytes: number;
}

/** What one round gave. */
interface Round {
  readonly ms: number;
  readonly cpuMs: number;
}

/** A whole snapshot to one watcher, beside as many messages of as many bytes on bare HTTP/2, and beside what reads and opens each. */
export async function snapshotFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const { count, rounds, warmUps } = quick
    ? { count: 1_000, rounds: 3, warmUps: 2 }
    : { count: 10_000, rounds: 7, warmUps: 3 };
  const groups = [{ count, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const { place } = await filledPlace(groups);
  const folder = place.config.dataDir;
  const daemon = new DaemonProcess(place.environment);
  await daemon.ready();
  const request = toBinary(WatchTokensRequestSchema, create(WatchTokensRequestSchema, {}));
  const asked = Buffer.from(request).toString("base64");
  const taken = async (pid: number, args: readonly string[]): Promise<Round> => {
    const before = cpuMs(pid);
    const snapshot = await answerOf<Snapshot>("snapshot_client.ts", args);
    if (snapshot.messages !== count) throw new Error(`a snapshot had ${snapshot.messages} connections`);
    return { ms: snapshot.ms, cpuMs: cpuMs(pid) - before };
  };
  const first = await answerOf<Snapshot>("snapshot_client.ts", [place.socket, asked]);
  const bareSocket = join(folder, "bare.sock");
  const messageBytes = String(Math.round(first.bytes / first.messages));
  const openingSocket = join(folder, "opening.sock");
  const bare = await startServer("bare_call_server.ts", [bareSocket, String(count), messageBytes]);
  const opening = await startServer("bare_call_server.ts", [
    openingSocket,
    String(count),
    messageBytes,
    folder,
  ]);
  const theirs: Round[] = [];
  const opened: Round[] = [];
  const again: Round[] = [];
  const anew: Round[] = [];
  try {
    for (let round = -warmUps; round < rounds; round++) {
      // A reader of its own has no read on record yet.
      const apiKey = await makeAgentKey(place, `bench-${round + warmUps}`);
      const other = await taken(bare.pid ?? 0, [bareSocket, asked]);
      const opener = await taken(opening.pid ?? 0, [openingSocket, asked]);
      const known = await taken(daemon.pid, [place.socket, asked]);
      const unknown = await taken(daemon.pid, [place.socket, asked, apiKey]);
      if (round < 0) continue;
      theirs.push(other);
      opened.push(opener);
      again.push(known);
      anew.push(unknown);
    }
  } finally {
    bare.disconnect();
    opening.disconnect();
    await daemon.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
  const line = (
    { ours, who, of }: { readonly ours: readonly Round[]; readonly who: string; readonly of: "ms" | "cpuMs" },
    { name: against, rounds: counterpart } = { name: bareName, rounds: theirs },
  ): Figure =>
    ratioFigure({
      name: `snapshot of ${count} connections to one watcher, ${who}: ${of === "ms" ? "time" : "CPU"}`,
      ...{ unit: "ms", against, atMost: 2 },
      ...{ ours: ours.map((round) => round[of]), theirs: counterpart.map((round) => round[of]) },
    });
  const whoOpens = { name: openingName, rounds: opened };
  return [
    line({ ours: again, who: "its reads on record", of: "ms" }),
    line({ ours: again, who: "its reads on record", of: "cpuMs" }),
    line({ ours: again, who: "each opened on both sides", of: "ms" }, whoOpens),
    line({ ours: again, who: "each opened on both sides", of: "cpuMs" }, whoOpens),
    line({ ours: anew, who: "its first reads", of: "ms" }),
  ];
}
