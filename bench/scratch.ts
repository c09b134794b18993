import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { filledPlace } from "./filled_place.js";
import { cpuMs } from "./process_figures.js";

const { place } = await filledPlace([{ count: 20000, dueAtMs: Date.now() + 30 * 86_400_000 }]);
const daemon = new DaemonProcess({ ...place.environment, NODE_OPTIONS: process.env["PROF"] ?? "" });
await daemon.ready();
const { connections } = place.clients();
for (let round = 0; round < 4; round++)
  for (const search of ["", "nobody"]) {
    const before = cpuMs(daemon.pid);
    const t = performance.now();
    let pageToken = "";
    const each: number[] = [];
    for (let page = 0; page < 20; page++) {
      const s = performance.now();
      const answer = await connections.listConnections({ pageSize: 1_000, pageToken, search });
      each.push(Math.round(performance.now() - s));
      pageToken = answer.nextPageToken;
    }
    console.log(
      search,
      "cpu per page",
      (cpuMs(daemon.pid) - before) / 20,
      "ms",
      (performance.now() - t) / 20,
      each.join(" "),
    );
  }
await daemon.kill("SIGTERM");
