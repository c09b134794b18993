import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { clientsOf, Place } from "../daemon/harness.js";
import { freePort } from "../free_port.js";

/** Frames of RFC 9113, section 4.1. */
function frame(type: number, flags: number, streamId: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

const preface = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0)]);
const goaway = frame(7, 0, 0, Buffer.alloc(8));
/** `GET http://localhost/`, complete with its headers. */
const request = (streamId: number): Buffer =>
  frame(1, 5, streamId, Buffer.concat([Buffer.from([0x82, 0x86, 0x84, 0x41, 9]), Buffer.from("localhost")]));
const requests = Array.from({ length: 20 }, (_, index) => request(2 * index + 1));

/** What a client may say in one packet. The first ended a process on Node 20 (nodejs/node#64113). */
const packets: Readonly<Record<string, readonly Buffer[]>> = {
  "GOAWAY, then requests": [preface, goaway, ...requests],
  "requests around GOAWAY": [preface, ...requests.slice(0, 10), goaway, ...requests.slice(10)],
  "GOAWAY twice, then requests": [preface, goaway, goaway, ...requests],
};
const connections = 300;
const atOnce = 50;

test.each(Object.entries(packets))(
  "%s, in one packet, from hundreds without a key: the daemon lives and serves",
  async (_name, packet) => {
    const { daemon, place, ports } = await startDaemon();
    for (const port of ports) {
      for (let sent = 0; sent < connections; sent += atOnce)
        await Promise.all(Array.from({ length: atOnce }, () => say(port, Buffer.concat(packet))));
    }
    const { providers } = await clientsOf(place.socket).providers.listProviders({});
    expect(providers).toEqual([]);
    expect(await daemon.kill("SIGTERM")).toBe(0);
  },
  60_000,
);

test("requests that a client sends behind its own GOAWAY are answered", async () => {
  const { ports } = await startDaemon();
  const session = connectHttp2(`http://127.0.0.1:${ports[1]}`);
  await once(session, "remoteSettings");
  const streams = Array.from({ length: 5 }, () => session.request({ ":path": "/openapi.json" }));
  session.close();
  const statuses = await Promise.all(
    streams.map(async (stream) => {
      const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
      stream.resume();
      return headers[":status"];
    }),
  );
  expect(statuses).toEqual(streams.map(() => 200));
  await once(session, "close");
});

async function startDaemon() {
  const grpcPort = await freePort();
  const place = await Place.make({});
  const daemon = new DaemonProcess({
    ...place.environment,
    NEXUS_GRPC_LISTEN: `unix:${place.socket},127.0.0.1:${grpcPort}`,
    NEXUS_LOG_LEVEL: "info",
    // What glibc frees is overwritten, so that whatever uses it later ends the process instead of passing by luck.
    MALLOC_PERTURB_: "165",
  });
  onTestFinished(() => daemon.kill("SIGKILL").then(() => undefined));
  await daemon.ready();
  return { daemon, place, ports: [grpcPort, Number(new URL(place.httpUrl).port)] };
}

/** Says it all at once, and leaves when the daemon has said something or ended the connection. */
async function say(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(bytes);
  await new Promise<void>((resolve) => {
    socket.once("data", resolve);
    socket.once("close", () => resolve());
  });
  socket.destroy();
}
