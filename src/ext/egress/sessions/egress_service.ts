import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { SessionLabel } from "../../../domain/access/access.js";
import {
  EgressService,
  type EgressSession,
  ListEgressSessionsResponseSchema,
  ReportEgressSessionResponseSchema,
} from "../../../gen/nexus/v1/egress_pb.js";
import { BoundedMap, type Clock } from "../../../runtime/runtime.js";
import { sessionLabels } from "../../../service/messages/messages.js";
import { defineService, type ServiceDefinition } from "../../../service/service.js";

const defaultMaxEntries = 100;
/** A session that is not reported for so long has ended without a word; reports come four times as often. */
const silenceMs = 60_000;
/** Those of one caller make room for each other alone. */
const maxCallers = 100;
const maxOfCaller = 100;

interface SessionReport {
  readonly session: EgressSession;
  readonly atMs: number;
}

/** @param listening the sessions of the egress listener @param labelsOf those of a principal */
export function egressService(
  listening: () => readonly EgressSession[],
  labelsOf: (principal: string) => readonly SessionLabel[],
  clock: Clock,
): ServiceDefinition {
  const callers = new BoundedMap<string, BoundedMap<string, SessionReport>>(maxCallers);
  return defineService(EgressService, {
    listEgressSessions({ maxEntries }) {
      const nowMs = clock.monotonicMs();
      const reported = [...callers.values()].flatMap((own) => [...own.values()]);
      const running = reported.filter(({ atMs }) => nowMs - atMs < silenceMs).map(({ session }) => session);
      const all = [...running, ...listening()].sort((one, other) => sinceMs(one) - sinceMs(other));
      const sessions = all
        .slice(0, maxEntries || defaultMaxEntries)
        .map((session) => ({ ...session, labels: sessionLabels(labelsOf(session.principal)) }));
      return create(ListEgressSessionsResponseSchema, { sessions, count: all.length });
    },

    reportEgressSession({ session, ended }, { principal: { name: principal } }) {
      const own = callers.get(principal) ?? new BoundedMap<string, SessionReport>(maxOfCaller);
      callers.set(principal, own);
      if (session)
        own.set(session.id, { session: { ...session, principal, labels: [] }, atMs: clock.monotonicMs() });
      if (session && ended) own.delete(session.id);
      return create(ReportEgressSessionResponseSchema);
    },
  });
}

function sinceMs({ since }: EgressSession): number {
  return since ? timestampMs(since) : 0;
}
