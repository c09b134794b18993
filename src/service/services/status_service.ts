import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HeldStream, StreamRegistry } from "../../domain/access/access.js";
import type { RefreshHistory } from "../../domain/grants/grants.js";
import type { ExpiryCounter, StatusReader } from "../../domain/operations/operations.js";
import {
  type ActivityIntervalSchema,
  DaemonState,
  type ExpiryClassSchema,
  type FailingProviderSchema,
  GetActivityResponseSchema,
  type GetStatusResponse,
  GetStatusResponseSchema,
  ListOpenStreamsResponseSchema,
  type NextRefreshSchema,
  type OpenStreamSchema,
  type StatusCheckSchema,
  StatusService,
} from "../../gen/nexus/v1/status_pb.js";
import type { ActivityInterval, ExpiryClass } from "../../model/connections/activity.js";
import { connectionStatuses } from "../../model/connections/connection.js";
import type { DaemonStatus } from "../../model/connections/daemon_status.js";
import { present, timestampOf } from "../messages/timestamps.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

const defaultMaxEntries = 10;
const defaultMaxStreams = 100;

/** What a daemon says of itself beside its own state, where it is one of several. */
export interface MemberStatus {
  memberStatus(): Exclude<MessageInitShape<typeof GetStatusResponseSchema>, GetStatusResponse>;
}

export function statusService(
  options: {
    readonly status: StatusReader;
    readonly history: RefreshHistory;
    readonly expiries: ExpiryCounter;
    readonly streams: StreamRegistry;
  },
  member: MemberStatus | undefined,
): ServiceDefinition {
  const { status, history, expiries, streams } = options;
  const time = () => timestampFromMs(status.nowMs);
  return defineService(StatusService, {
    getStatus({ maxEntries }) {
      const read = status.read(maxEntries === 0 ? defaultMaxEntries : maxEntries);
      return create(GetStatusResponseSchema, statusMessage(read, member));
    },

    async getActivity() {
      const ends = await expiries.read();
      const { startedAtMs, recordedSinceMs, intervalMs, intervals } = history.read();
      return create(GetActivityResponseSchema, {
        time: time(),
        recordedSince: timestampFromMs(recordedSinceMs),
        startedAt: timestampFromMs(startedAtMs),
        interval: durationFromMs(intervalMs),
        intervals: intervals.map(intervalMessage),
        expiries: ends.classes.map(expiryMessage),
        expiriesCountedAt: timestampFromMs(ends.countedAtMs),
        connectionsCounted: BigInt(ends.counted),
        connectionsStored: BigInt(ends.stored),
      });
    },

    listOpenStreams({ maxEntries }) {
      const held = streams.list(maxEntries === 0 ? defaultMaxStreams : maxEntries);
      return create(ListOpenStreamsResponseSchema, {
        time: time(),
        streams: held.map(streamMessage),
        count: streams.size,
      });
    },
  });
}

function intervalMessage({
  startMs,
  refreshed,
  retried,
  failed,
}: ActivityInterval): MessageInitShape<typeof ActivityIntervalSchema> {
  return {
    start: timestampFromMs(startMs),
    refreshed: BigInt(refreshed),
    retried: BigInt(retried),
    failed: BigInt(failed),
  };
}

function expiryMessage({
  within,
  count,
  refreshable,
}: ExpiryClass): MessageInitShape<typeof ExpiryClassSchema> {
  return {
    count: BigInt(count),
    refreshable: BigInt(refreshable),
    unlimited: within === "unlimited",
    ...(typeof within === "number" && { within: durationFromMs(within) }),
  };
}

function streamMessage({
  principal,
  rpc,
  listener,
  openedAtMs,
}: HeldStream): MessageInitShape<typeof OpenStreamSchema> {
  return {
    principal: principal.name,
    rpc,
    listener,
    origin: principal.origin ?? "",
    openedAt: timestampFromMs(openedAtMs),
  };
}

const states: Readonly<Record<DaemonStatus["state"], DaemonState>> = {
  ready: DaemonState.READY,
  attention: DaemonState.ATTENTION,
  not_ready: DaemonState.NOT_READY,
  draining: DaemonState.DRAINING,
};

function statusMessage(
  status: DaemonStatus,
  member: MemberStatus | undefined,
): MessageInitShape<typeof GetStatusResponseSchema> {
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
    ...member?.memberStatus(),
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
    consents: provider.isConsent,
    since: timestampFromMs(provider.sinceMs),
    failures: provider.failures,
    connections: BigInt(provider.connections),
    ...present({
      lastFailedAt: timestampOf(provider.lastFailedAtMs),
      retryAt: timestampOf(provider.retryAtMs),
    }),
  };
}
