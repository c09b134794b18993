import { durationMsOf, formatFields, formatTable } from "../../../cli/kit.js";
import { type FleetMember, FleetRole, type FleetStatus } from "../../../gen/nexus/v1/status_pb.js";
import { formatDuration } from "../../../model/model.js";

/** Twice as long as a hub waits before it says again that it is there. */
const silentMs = 10_000;

const roleWords: Readonly<Partial<Record<FleetRole, string>>> = {
  [FleetRole.FOLLOWER]: "follows",
  [FleetRole.TAKING_OVER]: "takes over",
  [FleetRole.LEADER]: "leads",
  [FleetRole.RESIGNED]: "ends",
};

/** Where a hub stands, and what an operator should know: for `nexusd status` too. */
export function fleetFields(fleet: FleetStatus): [string, string][] {
  const { address, leader, fence, applied, newest, warnings, mayNotLead, outbox } = fleet;
  const role = roleWords[fleet.role] ?? `role ${fleet.role}`;
  const behind = newest - applied;
  const commits = fleet.waitsForStandby ? "commits wait for a standby" : "commits wait for no standby";
  return [
    ["leader", leader === "" ? "none that this hub knows" : `${leader} (fence ${fence})`],
    ["this hub", `${address} ${role}`],
    ["position", behind > 0n ? `${applied}, ${behind} behind the leader` : `${applied}`],
    ["database", `answered ${formatDuration(durationMsOf(fleet.lastContact))} ago; ${commits}`],
    ["layout", layoutWords(fleet)],
    ...[...warnings, ...lacking(fleet)].map((warning): [string, string] => ["warning", warning]),
    ...mayNotLead.map((why): [string, string] => ["may not lead", why]),
    ["outbox", outbox > 0n ? `${outbox} audit events wait for the leader` : ""],
  ];
}

/** Nothing, where the database was not reached yet. */
function layoutWords({ layout, minLayout }: FleetStatus): string {
  if (layout === minLayout) return layout === 0 ? "" : `${layout}`;
  return `${layout}; hubs that know ${minLayout} may be there until nexusd fleet migrate --contract`;
}

/** All hubs that were seen, the one that was asked marked with a star. */
export function formatFleet(fleet: FleetStatus): string {
  const rows = fleet.members.map((member) => [
    member.address === fleet.address ? `${member.address} *` : member.address,
    wordOf(member),
    member.version,
    `${member.layout}`,
    `${member.applied}`,
    member.keyIds.join(" "),
    formatDuration(durationMsOf(member.seen)),
  ]);
  const table = formatTable(["HUB", "", "VERSION", "LAYOUT", "POSITION", "KEYS", "SEEN AGO"], rows);
  return `${formatFields(fleetFields(fleet))}\n${table}`;
}

function wordOf({ isLeader, seen }: FleetMember): string {
  if (durationMsOf(seen) > silentMs) return "silent";
  return isLeader ? "leads" : "follows";
}

/**
 * What is sealed with a key that a hub lacks cannot be read there. Those of the leader count, because the store needs no other: one that only
 * other hubs hold was retired.
 */
function lacking({ members }: FleetStatus): string[] {
  const leader = members.find(({ isLeader }) => isLeader);
  const wanted = new Set((leader ? [leader] : members).flatMap(({ keyIds }) => keyIds));
  return members.flatMap(({ address, keyIds }) => {
    const lacks = [...wanted].filter((id) => !keyIds.includes(id));
    return lacks.length === 0
      ? []
      : [`${address} lacks key ${lacks.join(" and ")}: give it the ring of the others`];
  });
}
