import { DriverError } from "../driver_process.js";
import { type Case, must, refused, same, sees, until, withoutCalls } from "../scene.js";
import { playReconnecting } from "../stand_in.js";

/** The daemon goes away and comes back. */
export const restarts: readonly Case[] = [
  {
    name: "restart of the daemon",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const other = await world.connected();
      const driver = await scene.open();
      await sees(driver, provider, 1);
      await world.endDaemon("SIGTERM");
      await sees(driver, provider, 1);
      await world.startDaemon();
      await withoutCalls(world, async () => {
        await sees(driver, provider, 1);
        await sees(driver, provider, await world.refresh(provider));
      });
      same("the token", (await driver.token(provider)).access_token, world.newest);
      await sees(driver, other.provider, 1);
      await withoutCalls(world, async () => {
        await sees(driver, other.provider, await world.refresh(other.provider));
      });
    },
  },
  {
    name: "restart under a call",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const driver = await scene.open();
      await world.endDaemon();
      const asked = { provider, user: "ada", deadline_ms: 60_000 };
      const [token] = await Promise.all([driver.call("token", asked), world.startDaemon()]);
      same("the revision", token["revision"], 1);
    },
  },
  {
    name: "kill -9",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const driver = await scene.open();
      await sees(driver, provider, 1);
      await world.endDaemon("SIGKILL");
      await sees(driver, provider, 1);
      await world.startDaemon();
      await withoutCalls(world, async () => {
        await sees(driver, provider, await world.refresh(provider));
        driver.signal("SIGSTOP");
        try {
          await world.endDaemon("SIGKILL");
        } finally {
          await world.startDaemon();
        }
      }).catch((error: Error) => {
        // The counters of a daemon start anew with it: fewer than before are none.
        if (!/: -\d+ instead of 0/.test(error.message)) throw error;
      });
      await withoutCalls(world, async () => {
        const revision = await world.refresh(provider);
        driver.signal("SIGCONT");
        await sees(driver, provider, revision);
      });
      same("the token", (await driver.token(provider)).access_token, world.newest);
    },
  },
  {
    name: "expiry while away",
    play: async (scene) => {
      const { world } = scene;
      world.lifeSeconds = 6;
      const { provider } = await world.connected();
      const driver = await scene.open();
      const { expires_at_ms } = await driver.token(provider);
      await sees(driver, provider, await world.refresh(provider));
      await world.endDaemon("SIGKILL");
      await until("the token is given up", async () => {
        const askedMs = Date.now();
        const token = await driver.token(provider).catch((error: unknown) => {
          if (error instanceof DriverError && error.type === "Unavailable") return undefined;
          throw error;
        });
        if (token === undefined) return true;
        must((token.expires_at_ms ?? 0) > askedMs - 1_000, "an expired token was answered");
        return undefined;
      });
      must(Date.now() > (expires_at_ms ?? 0), "a token that lives was given up");
      await world.startDaemon();
      await until("the next token", () => driver.token(provider).catch(() => undefined));
    },
  },
  {
    name: "drain",
    play: async (scene) => {
      await playReconnecting(async (address) => {
        const driver = await scene.open({ address });
        same("the revision", (await driver.token("github")).revision, 1);
      });
    },
  },
  {
    name: "daemon away",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      await world.endDaemon();
      const driver = await scene.open();
      const startedMs = Date.now();
      const { message } = await refused(driver.token(provider), "Unavailable");
      same(`paths in "${message}"`, message.split(world.place.socket).length - 1, 1);
      must(Date.now() - startedMs < 6_000, "it took longer than 5 s to say that nobody is there");
      await world.startDaemon();
      await until("the same client works", () => driver.token(provider).catch(() => undefined));
      await withoutCalls(world, async () => {
        await sees(driver, provider, await world.refresh(provider));
      });
    },
  },
];
