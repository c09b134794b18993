import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { StatusReader } from "../../domain/operations/status_reader.js";
import {
  DaemonState,
  type FailingProviderSchema,
  GetStatusResponseSchema,
  type NextRefreshSchema,
  type StatusCheckSchema,
  StatusService,
} from "../../gen/nexus/v1/status_pb.js";
import { connectionStatuses } from "../../model/connections/connection.js";
import type { DaemonStatus } from "../../model/connections/daemon_status.js";
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
