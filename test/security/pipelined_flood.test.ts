import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Place } from "../daemon/harness.js";
import { freePort } from "../free_port.js";

/** What one unauthenticated client sends at once, and reads nothing of the responses. */
const sockets = 100;
const bytesPerSocket = 11 * 1024 * 1024;

const manifest = readFileSync(join(import.meta.dirname, "../../deploy/kubernetes/pod/agent.yaml"), "utf8");
const [, heap = ""] = /"(--max-old-space-size=\d+)"/.exec(manifest) ?? [];
const [, memoryMiB = ""] = /limits: \{.*memory: (\d+)Mi/.exec(manifest) ?? [];

const ports = { grpc: 0, console: 0, http: 0, browser: 0, ops: 0 };
let daemon: DaemonProcess;

beforeAll(async () => {
  ports.grpc = await freePort();
  ports.console = await freePort();
  const place = await Place.make({
    NEXUS_GRPC_LISTEN: `127.0.0.1:${ports.grpc}`,
    NEXUS_CONSOLE_LISTEN: `127.0.0.1:${ports.console}`,
    NEXUS_LOG_LEVEL: "info",
  });
  const portOf = (url: string): number => Number(new URL(url).port);
  ports.http = portOf(place.httpUrl);
  ports.browser = portOf(place.config.publicUrl);
  ports.ops = portOf(place.opsUrl);
  daemon = new DaemonProcess({ ...place.environment, NODE_OPTIONS: heap });
  await daemon.ready();
});
afterAll(() => daemon.kill("SIGKILL"));

test.each([
  ["http", "/openapi.json"],
  ["http", "/nexus.v1.TokenService/GetToken"],
  ["grpc", "/nexus.v1.TokenService/GetToken"],
  ["browser", "/auth/start?state=x"],
  ["console", "/"],
  ["ops", "/metrics"],
  ["ops", "/status"],
] as const)(
  "a flood of pipelined requests to the %s listener for %s fits into the pod's heap and memory, and others are answered meanwhile",
  async (listener, path) => {
    expect([heap, memoryMiB]).not.toContain("");
    const requests = `GET ${path} HTTP/1.1\r\nHost: localhost:${ports[listener]}\r\n\r\n`;
    const flood = Buffer.from(requests.repeat(Math.ceil(bytesPerSocket / requests.length)));
    let lost = 0;
    for (let i = 0; i < sockets; i++) {
      const socket = connect(ports[listener], "127.0.0.1")
        .pause()
        .on("error", () => lost++);
      socket.write(flood);
      onTestFinished(() => void socket.destroy());
    }
    for (let i = 0; i < 50; i++) {
      const other = await fetch(`http://127.0.0.1:${ports[listener]}${path}`, { redirect: "manual" });
      await other.text();
    }
    expect((await fetch(`http://127.0.0.1:${ports.ops}/livez`)).status).toBe(200);
    expect(lost).toBe(0);
    expect(peakMiB(daemon.pid)).toBeLessThan(Number(memoryMiB));
  },
);

/** The most that was ever resident. */
function peakMiB(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}
