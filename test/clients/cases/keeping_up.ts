import { setTimeout as sleep } from "node:timers/promises";
import { type Case, must, same, sees, until, withoutCalls } from "../scene.js";

const lifeSeconds = 10;

/** The cache and the stream behind it. */
export const keepingUp: readonly Case[] = [
  {
    name: "refresh while in use",
    play: async (scene) => {
      const { world } = scene;
      world.lifeSeconds = lifeSeconds;
      const { provider } = await world.connected();
      const driver = await scene.open();
      await driver.token(provider);
      const seen = new Set<number>();
      await withoutCalls(world, async () => {
        for (const endsMs = Date.now() + 2.2 * lifeSeconds * 1000; Date.now() < endsMs; await sleep(100)) {
          // What lived when it was asked for may end on its way here.
          const askedMs = Date.now();
          const { credentials, revision, expires_at_ms } = await driver.token(provider);
          seen.add(revision);
          const issued = world.issued.find(({ value }) => value === credentials["access_token"]);
          must(issued !== undefined, "the provider never issued this token");
          const ageMs = askedMs - issued.atMs;
          must(ageMs < lifeSeconds * 1000, `revision ${revision} was answered ${ageMs} ms after its issue`);
          must((expires_at_ms ?? 0) > askedMs - 50, `revision ${revision} had expired`);
        }
      });
      must(seen.size >= 3, `it saw the revisions ${[...seen].join()}, and there were two refreshes at least`);
    },
  },
  {
    name: "slow reader",
    play: async (scene) => {
      const { world } = scene;
      const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
      const rounds = 8;
      world.padding = "x".repeat(4_000);
      const provider = await world.register();
      for (const user of users) await world.connect(provider, user);
      const driver = await scene.open();
      for (const user of users) await sees(driver, provider, 1, user);
      // All names are on the stream when a change of the last comes by it.
      await withoutCalls(world, async () => {
        for (const user of users) await world.refresh(provider, user);
        for (const user of users) await sees(driver, provider, 2, user);
        driver.signal("SIGSTOP");
        for (let round = 0; round < rounds; round++) {
          await Promise.all(users.map((user) => world.refresh(provider, user)));
        }
        driver.signal("SIGCONT");
        for (const user of users) await sees(driver, provider, 2 + rounds, user);
      });
    },
  },
  {
    name: "clock apart",
    play: async (scene) => {
      const { world } = scene;
      for (const clock_offset_ms of [7_200_000, -7_200_000]) {
        const { provider } = await world.connected();
        const driver = await scene.open({ clock_offset_ms });
        await sees(driver, provider, 1);
        await until("a hot loop without a call", async () => {
          const before = await world.rpcs();
          await driver.call("hot", { provider, user: "ada", count: 20 });
          return (await world.rpcs()) === before ? true : undefined;
        });
        await withoutCalls(world, async () => {
          await driver.call("hot", { provider, user: "ada", count: 1_000 });
          await sees(driver, provider, await world.refresh(provider));
        });
      }
    },
  },
  {
    name: "hot loop",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const driver = await scene.open();
      await sees(driver, provider, 1);
      await until("the stream is open", async () => ((await world.streams()) > 0 ? true : undefined));
      // The stream of the names that are asked for is open from now on: what ends later would be counted.
      await sleep(500);
      const before = await world.rpcs();
      const count = 10_000;
      const { calls, revisions } = await driver.call("hot", { provider, user: "ada", count });
      same("calls, revisions and RPCs", [calls, revisions, (await world.rpcs()) - before], [count, [1], 0]);
    },
  },
  {
    name: "many ask at once",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const driver = await scene.open();
      const before = await world.rpcs("AcquireToken");
      const tokens = await Promise.all(Array.from({ length: 50 }, () => driver.token(provider)));
      same("revisions", [...new Set(tokens.map(({ revision }) => revision))], [1]);
      same("calls of AcquireToken", (await world.rpcs("AcquireToken")) - before, 1);
    },
  },
];
