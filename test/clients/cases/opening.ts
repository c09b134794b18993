import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { within } from "../../suites/stage.js";
import { type Case, must, refused, same, sees } from "../scene.js";

/** How a client finds the daemon, is refused by it, and ends. */
export const opening: readonly Case[] = [
  {
    name: "finds the socket",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const { dataDir } = world.place.config;
      const home = join(dataDir, "xdg");
      mkdirSync(join(home, "nexusd"), { recursive: true });
      symlinkSync(world.place.socket, join(home, "nexusd/nexus.sock"));
      const environments = [
        { NEXUS_ADDRESS: world.unixAddress },
        { NEXUS_DATA_DIR: dataDir },
        { XDG_DATA_HOME: home, NEXUS_ADDRESS: "" },
        { NEXUS_ADDRESS: world.place.httpUrl, NEXUS_API_KEY_FILE: world.keyFile },
      ];
      for (const environment of environments) {
        try {
          await sees(await scene.open({}, environment), provider, 1);
        } catch (error) {
          throw new Error(`with ${Object.keys(environment).join()}: ${(error as Error).message}`);
        }
      }
      await sees(
        await scene.open({ address: world.place.httpUrl, api_key_file: world.keyFile }),
        provider,
        1,
      );
    },
  },
  {
    name: "wrong key",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const driver = await scene.open({ address: world.place.httpUrl, api_key_file: world.wrongKeyFile });
      const { message } = await refused(driver.token(provider), "Unauthenticated");
      must(!message.includes("wrongwrong"), "the message holds the key");
      const before = await world.rpcs();
      await sleep(1_500);
      same("calls after the refusal", (await world.rpcs()) - before, 0);
    },
  },
  {
    name: "unknown provider",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const driver = await scene.open();
      const { message } = await refused(driver.token("No-such-provider"), "NotFound");
      must(/"no-such-provider"/i.test(message), `the message does not name the provider: ${message}`);
      await refused(driver.token(provider, ""), "InvalidArgument");
      await sees(driver, provider, 1);
      await sees(driver, provider, await world.refresh(provider));
    },
  },
  {
    name: "ends",
    play: async (scene) => {
      const { world } = scene;
      const { provider } = await world.connected();
      const other = await world.register();
      const driver = await scene.open();
      await sees(driver, provider, 1);
      const call = driver.start("acquire", { provider: other, user: "ada" });
      call.result.catch(() => undefined);
      await call.consent();
      driver.endInput();
      same("the exit code", await within(10, "the driver ends after its input", driver.exited), 0);
      const closing = await scene.open();
      await sees(closing, provider, 1);
      await closing.call("close");
      await refused(closing.token(provider), "NexusError");
      closing.endInput();
      same("the exit code", await within(10, "the driver ends after close", closing.exited), 0);
    },
  },
];
