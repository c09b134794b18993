/** Points on the way of a refresh at which the child ends itself. */
export const childBoundaries = [
  "connecting",
  "connected",
  "before_intent",
  "after_intent",
  "before_send",
  "after_answer",
  "before_commit",
  "after_commit",
  "before_publish",
] as const;
export type ChildBoundary = (typeof childBoundaries)[number];

/**
 * Points at the provider at which the child is killed: its request is there, was acted upon and not answered, or acted upon and answered
 * by a gateway, a while before the kill.
 */
export const serverBoundaries = ["arrived", "acted", "gateway"] as const;
/** The child lives for so long with what the gateway answered: a quick retry would come within it, a probe comes later. */
export const gatewayMs = 1_500;
export type ServerBoundary = (typeof serverBoundaries)[number];

export type Boundary = ChildBoundary | ServerBoundary | "random";

/** Every third kill comes at a random instant. */
export const boundaries: readonly Boundary[] = [...childBoundaries, ...serverBoundaries].flatMap(
  (boundary, index): Boundary[] => (index % 2 === 1 ? [boundary, "random"] : [boundary]),
);

/** Time-out of the token requests of a child that is to be paused: a busy machine keeps it, and a sweep can wait for it. */
export const pausedTimeoutMs = 2_000;
