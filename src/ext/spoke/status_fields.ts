import { durationMsOf, printable } from "../../cli/kit.js";
import type { SpokeStatus } from "../../gen/nexus/v1/status_pb.js";
import { formatDuration } from "../../model/model.js";

/** Of a spoke, for `nexusd status`. */
export function spokeFields({ hub, connected, age, trouble }: SpokeStatus): [string, string][] {
  const heard = age ? `last message ${formatDuration(durationMsOf(age))} ago` : "never: there is no copy";
  return [
    ["hub", `${hub}; ${connected ? "connected" : heard}`],
    ...(trouble === "" ? [] : [["trouble", printable(trouble)] as [string, string]]),
  ];
}
