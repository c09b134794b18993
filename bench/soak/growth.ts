import { boundFigure, differenceFigure, type Figure, median, ratioFigure } from "../figure.js";
import type { Look } from "./look.js";

export const minuteMs = 60_000;
/** Left to V8, which compiles and sizes its heap, to the caches, which fill, and to the audit log, which reaches its bound. */
const warmUpMs = 120_000;

/** The minute after the warm-up beside the last one. @param auditEvents how many the daemon is told to keep */
export function growthFigures(
  looks: readonly Look[],
  { minutes, auditEvents }: { readonly minutes: number; readonly auditEvents: number },
): Figure[] {
  const warm = looks.filter(({ atMs }) => atMs > warmUpMs);
  if (warm.length < 2)
    throw new Error("less than two rounds ended after the warm-up: the machine is too busy");
  // On a busy machine a round takes longer than a minute.
  const early = someOf(
    warm.filter(({ atMs }) => atMs <= warmUpMs + minuteMs),
    warm.slice(0, 1),
  );
  const late = someOf(
    warm.filter(({ atMs }) => atMs > (minutes - 1) * minuteMs),
    warm.slice(-1),
  );
  if (early.some((look) => look.auditEvents < auditEvents))
    throw new Error(`the audit log did not reach its ${auditEvents} events while the daemon warmed up`);
  const soak = `soak of ${minutes} minutes`;
  const of = (what: string, value: (look: Look) => number) => ({
    name: `${soak}: ${what} in the last minute`,
    against: "the minute after the warm-up",
    ours: late.map(value),
    theirs: early.map(value),
  });
  const count = { unit: "", atMost: 1 };
  const memory = { unit: "MiB", atMost: 1 };
  const stored = { unit: "MiB", atMost: 0.25 };
  return [
    // Wherever the heap stands between two collections.
    ratioFigure({ ...of("RssAnon", (look) => look.residentMiB), unit: "MiB", atMost: 1.15 }),
    differenceFigure({ ...of("heap and buffers after a collection", (look) => look.heldMiB), ...memory }),
    differenceFigure({ ...of("descriptors", (look) => look.descriptors), ...count }),
    differenceFigure({ ...of("timers", (look) => look.timers), ...count }),
    differenceFigure({ ...of("streams", (look) => look.streams), ...count }),
    differenceFigure({ ...of("active resources", (look) => look.resources), ...count }),
    // LMDB gives no page back: a file that has found room for the busiest commit stays as it is.
    ratioFigure({ ...of("blocks of the data folder", (look) => look.diskMiB), unit: "MiB", atMost: 1.1 }),
    differenceFigure({ ...of("pages that hold records", (look) => look.storedMiB), ...stored }),
    boundFigure({
      name: `${soak}: audit events kept, at the most`,
      unit: "events",
      value: Math.max(...looks.map((look) => look.auditEvents)),
      atMost: auditEvents,
    }),
    boundFigure({
      name: `${soak}: an audit event in the store, its index included`,
      unit: "B",
      value: median(late.map((look) => (look.auditMiB * 2 ** 20) / look.auditEvents)),
      atMost: 400,
    }),
  ];
}

function someOf(looks: readonly Look[], otherwise: readonly Look[]): readonly Look[] {
  return looks.length > 0 ? looks : otherwise;
}
