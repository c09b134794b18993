import type { Connection } from "../../../../src/model/connections/connection.js";

/** Points on the way of a notification at which the child ends itself: before and after each commit, and around the request. */
export const outboxChildBoundaries = [
  "before_told",
  "after_told",
  "before_link",
  "after_link",
  "before_send",
  "after_answer",
  "before_removed",
  "after_removed",
  "before_put_off",
  "after_put_off",
] as const;
export type OutboxChildBoundary = (typeof outboxChildBoundaries)[number];

/** Points at the receiver: the request is there, or was taken and is not answered. */
export const receiverBoundaries = ["arrived", "taken"] as const;
export type OutboxBoundary = OutboxChildBoundary | (typeof receiverBoundaries)[number] | "random";

export const outboxBoundaries: readonly OutboxBoundary[] = [
  ...outboxChildBoundaries,
  ...receiverBoundaries,
  "random",
];

const flipPattern = /^flip-(\d+)$/;

/** How often the connection has changed so that receivers are told: its provider's name says so, and each notification with it. */
export function flipsOf({ providerName }: Pick<Connection, "providerName">): number {
  return Number(flipPattern.exec(providerName)?.[1] ?? 0);
}

/** Each flip is one edge: active, then in need of a person, then active again. */
export function flipped(connection: Connection, flips: number, nowMs: number): Connection {
  const needsPerson = { reason: "consent_revoked", sinceMs: nowMs, retryAtMs: undefined } as const;
  const isActive = flips % 2 === 1;
  return {
    ...connection,
    providerName: `flip-${flips}`,
    status: isActive ? "active" : "attention",
    problem: isActive ? undefined : needsPerson,
    refreshable: true,
  };
}
