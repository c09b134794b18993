/** What every walk stands on, whatever it decides. */
const floors = ["model", "runtime", "store", "telemetry", "vault"];

/** The files of the rooms through which a walk goes: those of the floors beneath are counted apart. */
export function roomsOf(files: readonly string[]): string[] {
  return files.filter((path) => !floors.includes(path.split("/")[0] ?? ""));
}

interface Limit {
  /** What there is today: it falls, and rises only for a reason that its commit gives. */
  readonly atMost: number;
  readonly goal: number;
}

/** By the title of the walk in `docs/architecture.md`. */
export const limits: Readonly<Record<string, Limit>> = {
  "read a token": { atMost: 24, goal: 24 },
  "refresh a token": { atMost: 34, goal: 34 },
  consent: { atMost: 45, goal: 20 },
  "acquire a token": { atMost: 27, goal: 30 },
  "watch tokens": { atMost: 11, goal: 14 },
  "forward a call in a fleet": { atMost: 14, goal: 14 },
  "hold a request for a person": { atMost: 42, goal: 20 },
};
