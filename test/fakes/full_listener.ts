import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";

const listenAndStandStill = `
  const { createServer } = require("node:net");
  const { parentPort, workerData } = require("node:worker_threads");
  createServer().listen({ port: workerData, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage("listening");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;
/** What the kernel keeps for a listener that accepts nothing, with a backlog of one. */
const heldByKernel = 2;
const synSent = "02";

/** A port of 127.0.0.1 that takes no connection and refuses none, as a machine does whose packets are dropped. Linux alone. */
export class FullListener {
  private constructor(
    readonly port: number,
    private readonly worker: Worker,
    private readonly held: readonly Socket[],
  ) {}

  static async open(port: number): Promise<FullListener> {
    const worker = new Worker(listenAndStandStill, { eval: true, workerData: port });
    await once(worker, "message");
    const held = Array.from({ length: heldByKernel }, () => connect(port, "127.0.0.1"));
    for (const socket of held) socket.on("error", () => undefined);
    await Promise.all(held.map((socket) => once(socket, "connect")));
    return new FullListener(port, worker, held);
  }

  /** How many connect and are not answered. */
  get connecting(): number {
    const port = this.port.toString(16).toUpperCase().padStart(4, "0");
    const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
    const columns = rows.map((row) => row.trim().split(/\s+/));
    return columns.filter(([, , remote = "", state]) => remote.endsWith(`:${port}`) && state === synSent)
      .length;
  }

  async close(): Promise<void> {
    for (const socket of this.held) socket.destroy();
    await this.worker.terminate();
  }
}
