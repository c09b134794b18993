import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Metrics } from "../../../core/core.js";
import { lackedKeys } from "../../../domain/operations/operations.js";
import { FleetRole, type FleetStatusSchema } from "../../../gen/nexus/v1/status_pb.js";
import type { Vault } from "../../../vault/vault.js";
import { limitsLayout } from "../database/connection/layouts.js";
import { commitWaitSentence, fewConnectionsSentence, longCommitMs } from "../database/log/commit_wait.js";
import type { FleetConfig } from "./fleet_settings.js";
import type { Heartbeat } from "./heartbeat.js";
import type { Hub } from "./hub.js";
import type { LeaderHealthMonitor } from "./leader_health_monitor.js";
import type { OpenFleet } from "./open_fleet.js";

/** A database that has not answered for so long may be cut off from here. */
const silentMs = 10_000;
/** A commit that is asked again once or twice is nobody's concern. */
const shownAfterMs = 3_000;

/** Where this hub stands in its fleet, and what an operator should know. */
export class FleetStanding {
  constructor(
    private readonly parts: {
      readonly config: FleetConfig;
      readonly hub: Hub;
      readonly heartbeat: Heartbeat;
      readonly watch: LeaderHealthMonitor;
      readonly fleet: OpenFleet;
      readonly vault: Vault;
    },
  ) {}

  observe(metrics: Metrics): void {
    const { hub, heartbeat, watch, fleet } = this.parts;
    const read = () => this.status();
    const gauge = (name: string, help: string, value: () => number | bigint | boolean): void =>
      metrics.addGauge(`nexus_fleet_${name}`, help, () => Number(value()));
    gauge("leader", "1 at the hub that leads, 0 at the others.", () => hub.leader === "here");
    gauge("applied_position", "Position in the log that this hub's copy has.", () => read().applied);
    gauge("behind_batches", "How far the copy is behind the leader's.", () => read().newest - read().applied);
    gauge("silence_seconds", "Since the database last answered this hub.", () => heartbeat.silentMs / 1000);
    gauge("outbox_events", "Audit events that wait for the leader.", () => fleet.store.outbox.count);
    gauge("members", "Hubs that were seen in the last 30 seconds.", () => heartbeat.members.length);
    gauge("may_lead", "1 where nothing is in the way of leading.", () => this.mayNotLead().length === 0);
    gauge("stands_back", "1 for five minutes after this hub gave the lead back.", () => watch.isBackingOff);
    gauge("waits_for_standby", "1 where a commit waits for a standby.", () => this.waitsForStandby);
    const commitWaitMs = () => hub.commitWait?.waitedMs ?? 0;
    gauge("commit_wait_seconds", "How long the oldest commit has failed.", () => commitWaitMs() / 1000);
    const standbyWaitMs = () => heartbeat.verdict?.standbyWaitMs ?? 0;
    gauge("standby_wait_seconds", "How long commits have waited for one.", () => standbyWaitMs() / 1000);
  }

  status() {
    const { hub, heartbeat, config, fleet } = this.parts;
    const { store } = fleet;
    const applied = store.position.position;
    const { newest, silentMs, members } = heartbeat;
    return {
      role: FleetRole[hub.role.toUpperCase() as Uppercase<Hub["role"]>],
      address: config.address,
      waitsForStandby: this.waitsForStandby,
      leader: hub.leader === "here" ? config.address : (hub.leader ?? ""),
      fence: hub.holder?.fence ?? 0n,
      applied,
      newest: newest - applied > 0n ? newest : applied,
      lastContact: durationFromMs(Math.round(silentMs)),
      warnings: this.#warnings(),
      mayNotLead: this.mayNotLead(),
      outbox: BigInt(store.outbox.count),
      ...(heartbeat.verdict?.tables ?? { layout: 0, minLayout: 0 }),
      members: members.map(({ owner: _, keyIds, seenMsAgo, ...member }) => ({
        ...{ ...member, keyIds: [...keyIds] },
        seen: durationFromMs(Math.round(seenMsAgo)),
      })),
    } satisfies MessageInitShape<typeof FleetStatusSchema>;
  }

  /** For `/readyz`. */
  following(): true | string {
    const { silentMs, isBehind, clockViolation } = this.parts.heartbeat;
    if (silentMs > this.parts.config.maxStaleMs)
      return `the database of the fleet has not answered for ${Math.round(silentMs / 1_000)} s`;
    if (isBehind) return "the copy of the store is behind that of the hub that leads";
    const { commitWait } = this.parts.hub;
    if (commitWait && commitWait.waitedMs >= longCommitMs) return commitWaitSentence(commitWait);
    return clockViolation ?? this.lackedKeys().at(0) ?? true;
  }

  get waitsForStandby(): boolean {
    return this.parts.heartbeat.verdict?.isSynchronous === true;
  }

  /** Whether the tables take hubs that ignore some limits of API keys. Where they are not known, no leader is either. */
  get ignoresLimits(): boolean {
    const { tables } = this.parts.heartbeat.verdict ?? {};
    return tables !== undefined && tables.minLayout < limitsLayout;
  }

  /** Why this hub, which leads, writes nothing; empty where it does, or does not lead. */
  get writeTrouble(): string {
    const { commitWait } = this.parts.hub;
    return commitWait && commitWait.waitedMs >= shownAfterMs ? commitWaitSentence(commitWait) : "";
  }

  /** Whether this hub takes the lead within a second when it is given back. */
  couldLead(): boolean {
    const { hub, heartbeat, watch } = this.parts;
    const follows = hub.role === "follower" && hub.database !== undefined && !heartbeat.isBehind;
    const hears = heartbeat.silentMs < silentMs;
    return follows && hears && !watch.isBackingOff && this.mayNotLead().length === 0;
  }

  /** Each in one sentence. */
  mayNotLead(): string[] {
    const { heartbeat, watch } = this.parts;
    const { verdict, clockViolation: clock } = heartbeat;
    const database = verdict?.mayNotLead.filter((why) => !why.startsWith("the clock")) ?? [];
    const disk = watch.isDiskStuck ? ["the disk of its data folder takes no writes"] : [];
    return [
      ...database,
      ...this.#withoutLease(),
      ...(clock === undefined ? [] : [clock]),
      ...this.lackedKeys(),
      ...disk,
    ];
  }

  #withoutLease(): string[] {
    const { hub, heartbeat } = this.parts;
    const { leaseFailure } = hub;
    if (leaseFailure === undefined || heartbeat.silentMs >= silentMs) return [];
    return [fewConnectionsSentence("lease", leaseFailure)];
  }

  lackedKeys(): string[] {
    const { vault, fleet } = this.parts;
    return lackedKeys(fleet.store, vault).map(
      (keyId) => `the ring lacks key ${keyId}: give this hub the ring of the others`,
    );
  }

  /** Addresses of the other hubs that do not hold a key. */
  lacking(keyId: string): readonly string[] {
    // What this hub reported of itself may be older than its ring.
    return this.parts.heartbeat.members
      .filter(({ address, keyIds }) => address !== this.parts.config.address && !keyIds.includes(keyId))
      .map(({ address }) => address);
  }

  #warnings(): string[] {
    const { heartbeat, watch } = this.parts;
    const { verdict, refusal, troubleOfLeader, sharedAddresses } = heartbeat;
    const written = [this.writeTrouble, troubleOfLeader].filter((each) => each !== "");
    const known = verdict?.warnings ?? ["the database of the fleet was not reached since this hub started"];
    const shared = sharedAddresses.map(
      (address) =>
        `two hubs announce the address ${address}, so the others reach one of them only: give each its own NEXUS_FLEET_ADDRESS`,
    );
    const lacking = [...(this.parts.hub.database?.lacking ?? [])].map(([purpose, error]) =>
      fewConnectionsSentence(purpose, error),
    );
    return [
      ...written,
      ...shared,
      ...lacking,
      ...(refusal === undefined ? [] : [refusal]),
      ...watch.warnings(),
      ...known,
    ];
  }
}
