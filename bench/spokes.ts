import { AuthType } from "../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { registered } from "../test/daemon/requests.js";
import { Crowd } from "../test/fleet/crowd/crowd.js";
import { boundFigure, type Figure, median } from "./figure.js";
import { cpuMs } from "./process_figures.js";

const rounds = 5;

/** What many spokes cost their hub: a change to all of them, and their coming back after it was killed. */
export async function spokeFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const count = quick ? 1_000 : 10_000;
  const place = await Place.make({ NEXUS_MAX_CONNECTIONS: "20000" });
  let hub = new DaemonProcess(place.environment);
  await hub.ready();
  const clients = place.clients();
  const providerId = await registered(clients, { name: "bench", authType: AuthType.API_KEY });
  const apiKey = "k".repeat(1_400);
  const imported = { userId: "ada", providerId, credentials: { api_key: apiKey } };
  const { connection } = await clients.connections.importConnection(imported);
  const connectionId = connection?.id ?? "";
  const port = Number(new URL(place.httpUrl).port);
  const crowd = Crowd.begin({ count, ports: [port], keys: [place.apiKey] });
  try {
    await crowd.whole();
    const changeMs: number[] = [];
    for (let revision = 2n; revision <= rounds + 1; revision++) {
      const { last } = await crowd.awaiting(connectionId, revision);
      const startedNs = process.hrtime.bigint();
      await clients.connections.replaceCredential({ connectionId, credentials: { api_key: apiKey } });
      changeMs.push(Number((await last) - startedNs) / 1e6);
    }
    await hub.kill("SIGKILL");
    await crowd.cut(0);
    hub = new DaemonProcess(place.environment);
    await hub.ready();
    const [readyMs, spentMs] = [performance.now(), cpuMs(hub.pid)];
    await crowd.whole();
    return [
      boundFigure({
        name: `a change to ${count} spokes, from its request to the last receipt`,
        unit: "ms",
        value: median(changeMs),
        atMost: 1_000,
      }),
      boundFigure({
        name: `${count} spokes come back to a hub that was killed: until the last one`,
        unit: "s",
        value: (performance.now() - readyMs) / 1_000,
        atMost: 15,
      }),
      boundFigure({
        name: `${count} spokes come back: CPU of the hub`,
        unit: "s",
        value: (cpuMs(hub.pid) - spentMs) / 1_000,
        atMost: 10,
      }),
    ];
  } finally {
    await crowd.close();
    await hub.kill("SIGKILL");
  }
}
