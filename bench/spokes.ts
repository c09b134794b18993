import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { AuthType } from "../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { registered } from "../test/daemon/requests.js";
import { start } from "./children.js";
import { boundFigure, type Figure, median } from "./figure.js";
import { cpuMs } from "./process_figures.js";

const rounds = 5;
/** A crowd that is not there by then meets a limit of the machine: of descriptors, for one (`ulimit -n`). */
const patienceMs = 180_000;

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
  const port = new URL(place.httpUrl).port;
  const crowd = start("spoke_crowd.ts", [`${count}`, port, place.apiKey]);
  try {
    await told(crowd, (message) => message === "whole");
    const changeMs: number[] = [];
    for (let revision = 2; revision <= rounds + 1; revision++) {
      const armed = told(crowd, (message) => message === "armed");
      crowd.send({ revision });
      await armed;
      const received = told(crowd, (message) => typeof message === "object");
      const startedNs = process.hrtime.bigint();
      await clients.connections.replaceCredential({ connectionId, credentials: { api_key: apiKey } });
      const { receivedNs } = (await received) as { receivedNs: string };
      changeMs.push(Number(BigInt(receivedNs) - startedNs) / 1e6);
    }
    await hub.kill("SIGKILL");
    hub = new DaemonProcess(place.environment);
    const whole = told(crowd, (message) => message === "whole");
    await hub.ready();
    const [readyMs, spentMs] = [performance.now(), cpuMs(hub.pid)];
    await whole;
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
    if (crowd.connected) {
      crowd.disconnect();
      await once(crowd, "exit");
    }
    await hub.kill("SIGKILL");
  }
}

function told(crowd: ChildProcess, isIt: (message: unknown) => boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error("the crowd of spokes ended"));
    const late = setTimeout(() => reject(new Error("not all spokes were heard of in time")), patienceMs);
    const onMessage = (message: unknown): void => {
      if (!isIt(message)) return;
      clearTimeout(late);
      crowd.off("message", onMessage).off("exit", onExit);
      resolve(message);
    };
    crowd.on("message", onMessage).once("exit", onExit);
  });
}
