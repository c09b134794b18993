import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { StatusReader } from "../../domain/operations/status_reader.js";
import {
  DaemonState,
  type FailingProviderSchema,
  FleetRole,
  type FleetStatusSchema,
  GetStatusResponseSchema,
  type NextRefreshSchema,
  type StatusCheckSchema,
  StatusService,
} from "../../gen/nexus/v1/status_pb.js";
import { connectionStatuses } from "../../model/connections/connection.js";
import type { DaemonStatus, FleetState } from "../../model/connections/daemon_status.js";
import { present, timestampOf } from "../messages/timestamps.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

const defaultMaxEntries = 10;

export function statusService(options: { readonly status: Pick<StatusReader, "read"> }): ServiceDefinition {
  return defineService(StatusService, {
    getStatus({ maxEntries }) {
      const status = options.status.read(maxEntries === 0 ? defaultMaxEntries : maxEntries);
      return create(GetStatusResponseSchema, statusMessage(status));
    },
  });
}

const states: Readonly<Record<DaemonStatus["state"], DaemonState>> = {
  ready: DaemonState.READY,
  attention: DaemonState.ATTENTION,
  not_ready: DaemonState.NOT_READY,
  draining: DaemonState.DRAINING,
};

function statusMessage(status: DaemonStatus): MessageInitShape<typeof GetStatusResponseSchema> {
  return {
    state: states[status.state],
    checks: Object.entries(status.checks).map(checkMessage),
    version: status.version,
    time: timestampFromMs(status.timeMs),
    startedAt: timestampFromMs(status.startedAtMs),
    uptime: durationFromMs(Math.round(status.uptimeMs)),
    connections: connectionStatuses.map((name, index) => ({
      status: index + 1,
      count: BigInt(status.connections[name]),
    })),
    subscribers: status.subscribers,
    refreshesRunning: status.refreshesRunning,
    refreshesWaiting: status.refreshesWaiting,
    refreshLag: durationFromMs(Math.round(status.refreshLagMs)),
    nextRefreshes: status.nextRefreshes.map(refreshMessage),
    endingTokens: status.endingTokens.map(({ expiresAtMs, ...token }) => ({
      ...token,
      expiresAt: timestampFromMs(expiresAtMs),
    })),
    failingProviders: status.failingProviders.map(failingMessage),
    failingProviderCount: status.failingProviderCount,
    storeBytes: BigInt(status.storeBytes),
    ...(status.fleet && { fleet: fleetMessage(status.fleet) }),
  };
}

const roles: Readonly<Record<FleetState["role"], FleetRole>> = {
  follower: FleetRole.FOLLOWER,
  taking_over: FleetRole.TAKING_OVER,
  leader: FleetRole.LEADER,
  resigned: FleetRole.RESIGNED,
};

function fleetMessage(fleet: FleetState): MessageInitShape<typeof FleetStatusSchema> {
  return {
    role: roles[fleet.role],
    leader: fleet.leader ?? "",
    fence: fleet.fence,
    applied: fleet.applied,
    newest: fleet.newest,
    lastContact: durationFromMs(Math.round(fleet.lastContactMs)),
    warnings: [...fleet.warnings],
    mayNotLead: [...fleet.mayNotLead],
    outbox: BigInt(fleet.outbox),
    members: fleet.members.map(({ seenMs, keyIds, ...member }) => ({
      ...member,
      keyIds: [...keyIds],
      seen: durationFromMs(Math.round(seenMs)),
    })),
  };
}

function checkMessage([name, check]: [string, boolean | string]): MessageInitShape<typeof StatusCheckSchema> {
  return { name, passing: check === true, message: typeof check === "string" ? check : "" };
}

function refreshMessage({
  dueAtMs,
  ...refresh
}: DaemonStatus["nextRefreshes"][number]): MessageInitShape<typeof NextRefreshSchema> {
  return { ...refresh, dueAt: timestampFromMs(dueAtMs) };
}

function failingMessage(
  provider: DaemonStatus["failingProviders"][number],
): MessageInitShape<typeof FailingProviderSchema> {
  return {
    providerId: provider.providerId,
    providerName: provider.providerName,
    reason: provider.reason,
    message: provider.message,
    suspended: provider.isSuspended,
    since: timestampFromMs(provider.sinceMs),
    failures: provider.failures,
    connections: BigInt(provider.connections),
    ...present({
      lastFailedAt: timestampOf(provider.lastFailedAtMs),
      retryAt: timestampOf(provider.retryAtMs),
    }),
  };
}
