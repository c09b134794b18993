import { startOpenIdProvider } from "../../../test/fakes/openid_provider.js";
import type { Arguments } from "../arguments.js";
import { Interrupted } from "../failure.js";
import { jsonNarrator, plainNarrator } from "../narrator.js";
import * as scenes from "../scenes.js";
import { DemoFleet } from "./demo_fleet.js";
import * as fleetScenes from "./fleet_scenes.js";
import { playFleet } from "./fleet_story.js";

/** A tenth of it is what a change of leader may take: refreshes begin when 20 % of the life are left. */
const accessTokenTtlSeconds = 50;

/**
 * The story of a fleet.
 *
 * @param ending ends everything that is under way; its reason says why
 * @returns the exit code
 */
export async function runFleet({ auto, json, verbose }: Arguments, ending: AbortController): Promise<number> {
  const print = (text: string) => void process.stdout.write(text);
  const tell = json ? jsonNarrator(print) : plainNarrator(print, process.stdout.isTTY);
  const options = {
    onLog: (line: string) => void (verbose && process.stderr.write(`${line}\n`)),
    onBegunAnew: (hub: Parameters<typeof fleetScenes.hubBegunAnew>[0]) => tell(fleetScenes.hubBegunAnew(hub)),
  };
  let fleet: DemoFleet | undefined;
  const provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds });
  try {
    fleet = await DemoFleet.start(options, ending.signal);
    const signal = AbortSignal.any([ending.signal, fleet.broken]);
    tell(fleetScenes.fleetStarted(fleet.hubs, await fleet.leader(signal), fleet.postgres.folder));
    tell(scenes.providerStarted(provider.issuer, accessTokenTtlSeconds));
    await playFleet({ fleet, provider, tell, auto, signal });
    return 0;
  } catch (error) {
    // A call that breaks off is often but the echo of something else.
    const aborted = [ending.signal, fleet?.broken].find((signal) => signal?.aborted);
    const cause: unknown = aborted ? aborted.reason : error;
    tell(scenes.failed(cause instanceof Error ? cause.message : String(cause), undefined));
    if (cause instanceof Interrupted) return 130;
    if (!verbose) {
      for (const { name, daemon } of fleet?.hubs ?? [])
        process.stderr.write(`The end of the log of hub ${name}:\n${daemon.log.join("\n")}\n`);
    }
    return 1;
  } finally {
    ending.abort();
    await Promise.all([fleet?.close(), provider.stop()]);
  }
}
