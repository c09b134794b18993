import type { Clock } from "./clock.js";

/** Passes on the first of a minute's calls for each subject: a flood of calls does not flood the log. */
export function atMostEachMinute(clock: Clock, report: (subject: string) => void): (subject: string) => void {
  const reported = new Map<string, number>();
  return (subject) => {
    const nowMs = clock.monotonicMs();
    const before = reported.get(subject);
    if (before !== undefined && nowMs - before < 60_000) return;
    reported.set(subject, nowMs);
    report(subject);
  };
}
