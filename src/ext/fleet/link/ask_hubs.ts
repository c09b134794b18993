import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ReachResponse } from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import { HubChannel } from "./hub_channel.js";
import type { LinkKeys } from "./link_tls.js";

/** For the answer: the hub that is asked tries for ten seconds. */
const answerMs = 13_000;
/** For the time of a hub nothing is tried. */
const timeMs = 2_000;

/** Which of the hubs could lead, and what of the origins they reach; one that does not answer, or is of an earlier version, is left out. */
export async function askHubs(
  addresses: readonly string[],
  origins: readonly string[],
  keys: LinkKeys,
  timeoutMs = answerMs,
): Promise<readonly { readonly address: string; readonly answer: ReachResponse }[]> {
  const asked = addresses.map(async (address) => {
    const channel = new HubChannel(address, keys);
    try {
      const client = await channel.open();
      return [{ address, answer: await client.reach({ origins: [...origins] }, { timeoutMs }) }];
    } catch {
      return [];
    } finally {
      channel.close();
    }
  });
  return (await Promise.all(asked)).flat();
}

/** The time that each of the hubs has on its machine, in milliseconds since the Unix epoch; left out as in `askHubs`. Takes up to five seconds. */
export async function askTimes(addresses: readonly string[], keys: LinkKeys): Promise<readonly number[]> {
  const answers = await askHubs(addresses, [], keys, timeMs);
  return answers.flatMap(({ answer: { clock } }) => (clock === undefined ? [] : [timestampMs(clock)]));
}
