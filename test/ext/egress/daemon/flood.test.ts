import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { perSuite } from "../../../lifetimes.js";
import { needs } from "../../../needs.js";
import { ListenerWorld } from "./listener_world.js";

const world = perSuite(() => ListenerWorld.start({ NEXUS_MAX_CONNECTIONS: "400" }));
/** Of a listener of 400 connections, those that never showed a credential. */
const places = 64;
const ordinary = perSuite(() => ListenerWorld.start());
const ordinaryPlaces = 500;
/** Of the daemon, beside 10 000: some 35 MiB were measured, and 180 MiB where the listener kept all of them. */
const maxGrowthBytes = 96 * 1024 * 1024;

/** Strangers in a process of their own: the memory of this one is the daemon's. @returns how many connections of theirs the listener still has */
async function flood({ address }: ListenerWorld, count: number, text: string) {
  const program = join(import.meta.dirname, "strangers.mjs");
  const strangers = fork(program, [...address.split(":"), String(count), text], { execArgv: [] });
  onTestFinished(() => void strangers.kill());
  await once(strangers, "message");
  return {
    open: async () => {
      strangers.send("count");
      const [open] = await once(strangers, "message");
      return open as number;
    },
  };
}

async function callerOf(world: ListenerWorld, name: string) {
  const key = { name, role: Role.AGENT, restriction: { userIds: ["ada"] } };
  const { key: password } = await world.daemon.clients.access.createApiKey(key);
  await world.daemon.caughtUp();
  return await world.program("ada", password);
}

const halfOfConnect = "CONNECT api.localhost:443 HTTP/1.1\r\nhost: a\r\nx-slow: ";

it.each([
  ["send nothing", ""],
  ["send half a CONNECT", halfOfConnect],
  ["send headers without end", `GET http://a/ HTTP/1.1\r\nx-long: ${"a".repeat(15_000)}`],
  [
    "send a body without a credential, and no end of it",
    "POST http://a/ HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nslow",
  ],
  ["send wrong keys", "CONNECT api.localhost:443 HTTP/1.1\r\nproxy-authorization: Bearer wrong\r\n\r\n"],
])("serves a caller with a key beside 1 000 connections that %s, and lets go of them", async (what, text) => {
  const caller = await callerOf(world, what.replaceAll(/[^a-z]+/g, "-"));
  const { open } = await flood(world, 1_000, text);
  expect(await caller.ask("/v1/user")).toMatchObject({ status: 200 });
  await expect.poll(open).toBeLessThanOrEqual(places);
  for (let at = 0; at < 8; at++) world.daemon.clock.advance(5_000);
  await expect.poll(open, { timeout: 20_000 }).toBe(0);
});

it("serves a caller beside 10 000 connections that send half a CONNECT, and holds few of them in memory", async (context) => {
  needs(context, "descriptors");
  const caller = await callerOf(ordinary, "beside-10-000");
  const before = process.memoryUsage.rss();
  const { open } = await flood(ordinary, 10_000, `${halfOfConnect}${"a".repeat(15_000)}`);
  expect(await caller.ask("/v1/user")).toMatchObject({ status: 200 });
  expect(process.memoryUsage.rss() - before).toBeLessThan(maxGrowthBytes);
  await expect.poll(open).toBeLessThanOrEqual(ordinaryPlaces);
  for (let at = 0; at < 8; at++) ordinary.daemon.clock.advance(5_000);
  await expect.poll(open, { timeout: 20_000 }).toBe(0);
});

it("closes a connection with more than 16 KiB of headers", async () => {
  const { open } = await flood(world, 1, `GET http://a/ HTTP/1.1\r\nx-long: ${"a".repeat(17_000)}`);
  await expect.poll(open).toBe(0);
});
