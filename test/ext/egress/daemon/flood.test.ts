import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { perSuite } from "../../../lifetimes.js";
import { ListenerWorld } from "./listener_world.js";

const world = perSuite(() => ListenerWorld.start({ NEXUS_MAX_CONNECTIONS: "400" }));
/** Of a listener of 400 connections, those that never showed a credential. */
const places = 64;

/** @returns sockets that sent `text`, and how many of them the listener still has */
async function flood(count: number, text: string) {
  const [host = "", port] = world.address.split(":");
  const ended = new Set<Socket>();
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ host, port: Number(port) });
    socket.on("error", () => undefined);
    socket.once("close", () => ended.add(socket));
    onTestFinished(() => void socket.destroy());
    return socket.resume();
  });
  await Promise.all(sockets.map((socket) => once(socket, "connect").catch(() => undefined)));
  for (const socket of sockets) socket.write(text);
  return { open: () => count - ended.size };
}

it.each([
  ["send nothing", ""],
  ["send half a CONNECT", "CONNECT api.localhost:443 HTTP/1.1\r\nhost: a\r\nx-slow: "],
  ["send headers without end", `GET http://a/ HTTP/1.1\r\nx-long: ${"a".repeat(15_000)}`],
  [
    "send a body without a credential, and no end of it",
    "POST http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nslow",
  ],
  ["send wrong keys", "CONNECT api.localhost:443 HTTP/1.1\r\nproxy-authorization: Bearer wrong\r\n\r\n"],
])("serves a caller with a key beside 1 000 connections that %s, and lets go of them", async (what, text) => {
  const { access } = world.daemon.clients;
  const name = what.replaceAll(/[^a-z]+/g, "-");
  const made = await access.createApiKey({ name, role: Role.AGENT, restriction: { userIds: ["ada"] } });
  await world.daemon.caughtUp();
  const program = await world.program("ada", made.key);
  const { open } = await flood(1_000, text);
  expect(await program.ask("/v1/user")).toMatchObject({ status: 200 });
  await expect.poll(open).toBeLessThanOrEqual(places);
  for (let at = 0; at < 8; at++) world.daemon.clock.advance(5_000);
  await expect.poll(open, { timeout: 20_000 }).toBe(0);
});

it("closes a connection with more than 16 KiB of headers", async () => {
  const { open } = await flood(1, `GET http://a/ HTTP/1.1\r\nx-long: ${"a".repeat(17_000)}`);
  await expect.poll(open).toBe(0);
});
