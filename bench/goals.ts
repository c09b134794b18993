import type { Figure } from "./figure.js";

interface Goal {
  readonly unit: string;
  /** Of the ratio where the line has a counterpart, else of the value. */
  readonly atMost?: number;
  readonly atLeast?: number;
  /** What `--guard` allows a short run on a busy machine; lines without one wait for a disk or for a turn on a core. */
  readonly guard?: number;
  readonly why: string;
}

const cpu = { unit: "us", atMost: 1.25, guard: 2.5 };
const worstSecond = {
  unit: "ms",
  atMost: 20,
  why: "a call that comes at any moment waits for a frame of video at most",
};
const longest = { unit: "ms", atMost: 50, why: "nobody notices a single pause of that length" };
const meanwhile = {
  unit: "ms",
  atMost: 3,
  why: "an agent that reads a token pays little for the others' work",
};

/** The major version of Node that the goals are for: the one that README recommends. */
export const goalsNode = "26";

/** What each part measures, line by line, and what is good enough. */
export const goals = {
  getToken: {
    "1 call at once: CPU per call": { ...cpu, why: "the checks may cost a quarter of what the wire costs" },
    "16 calls at once: CPU per call": { ...cpu, why: "agents share few sockets" },
    "64 calls at once: CPU per call": { ...cpu, why: "beyond it a second daemon is the answer" },
  },
  watch: {
    "1 000 subscribers: commit to last receipt, p99": {
      ...{ unit: "ms", atMost: 1.3 },
      why: "one write to each stream is the floor",
    },
    "10 000 subscribers: commit to last receipt, p99": {
      ...{ unit: "ms", atMost: 1.3 },
      why: "the cost grows with the streams and nothing else",
    },
    "1 000 subscribers: memory of each": {
      ...{ unit: "KiB", atMost: 4, guard: 6 },
      why: "V8's young generation grows in both, and is most of it",
    },
    "10 000 subscribers: memory of each": {
      ...{ unit: "KiB", atMost: 1.3 },
      why: "a stream of HTTP/2 is the floor",
    },
  },
  load: {
    "storm: event-loop delay, p99 of the worst second": worstSecond,
    "storm: longest event-loop delay": longest,
    "storm: GetToken p99": meanwhile,
    "snapshot: event-loop delay, p99 of the worst second": worstSecond,
    "snapshot: longest event-loop delay": longest,
    "snapshot: GetToken p99": meanwhile,
    "list: event-loop delay, p99 of the worst second": worstSecond,
    "list: longest event-loop delay": longest,
    "list: GetToken p99": meanwhile,
  },
  start: {
    "process start to /readyz": { unit: "ms", atMost: 500, why: "a pod's sidecar is up before its agent is" },
    "resident memory at rest": {
      unit: "MiB",
      atMost: 110,
      guard: 125,
      why: "a sidecar's request of 128 MiB",
    },
    "resident memory after load": {
      unit: "MiB",
      atMost: 200,
      guard: 230,
      why: "a sidecar's limit of 256 MiB",
    },
    "idle CPU, 1 000 connections and 100 subscribers": {
      ...{ unit: "% of a core", atMost: 0.1, guard: 6 },
      why: "a laptop's battery",
    },
  },
  fleet: {
    "commit at the leader beyond one of a daemon alone": {
      ...{ unit: "ms", atMost: 2 },
      why: "one statement, and one transaction of pgbench is what PostgreSQL takes for its own",
    },
    "refreshes a second at the leader": {
      ...{ unit: "1/s", atLeast: 300 },
      why: "a million connections with tokens of an hour",
    },
    "SIGKILL of the leader to the next write": {
      ...{ unit: "s", atMost: 6 },
      why: "a lease of 3 s, and as much for the election",
    },
    "SIGTERM of the leader to the next write": { unit: "s", atMost: 1, why: "an upgrade is not noticed" },
  },
  egress: {
    "small request: p50 of a bare terminating proxy": {
      unit: "ms",
      atMost: 5,
      why: "Node's part: TLS and HTTP twice",
    },
    "small request: p50": { unit: "ms", atMost: 2, why: "the credential costs what is Node's" },
    "16 small requests at once: p50": { unit: "ms", atMost: 2, why: "an agent's tools run side by side" },
    "16 small requests at once: CPU": { unit: "us", atMost: 1.6, why: "a sidecar shares its agent's core" },
    "small request: p50 beside Envoy": { unit: "ms", atMost: 1.5, why: "Envoy sees no TLS of the program" },
    "small request: CPU": { unit: "us", atMost: 0.5, why: "mitmproxy is what people take otherwise" },
    "small request: CPU beside Envoy": { unit: "us", atMost: 1.5, why: "no one switches to save it" },
    "small request: CPU beside a bare terminating proxy": {
      ...{ unit: "us", atMost: 1.6 },
      why: "a sidecar shares its agent's core",
    },
    "1 GiB: rate beside a terminator": { unit: "MiB/s", atLeast: 0.9, why: "only the mask is added" },
    "1 GiB: rate": { unit: "MiB/s", atLeast: 0.8, why: "the bytes are encrypted twice more" },
    "idle tunnel: memory": { unit: "KiB", atMost: 64, why: "1 000 tunnels in a sidecar's limit" },
  },
} as const satisfies Record<string, Record<string, Goal>>;

export type Part = keyof typeof goals;
export const parts = Object.keys(goals) as Part[];
const goalsOf = (part: Part): Readonly<Record<string, Goal>> => goals[part];

export const isGuarded = (part: Part): boolean =>
  Object.values(goalsOf(part)).some(({ guard }) => guard !== undefined);

const judged = ({ value, against }: Figure): number => (against ? value / against.value : value);
const short = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** A table in Markdown. */
export function tableOf(part: Part, figures: readonly Figure[]): string {
  return figures
    .map((figure) => {
      const { unit, atMost, atLeast } = goalOf(part, figure.name);
      const { value, against } = figure;
      const found = judged(figure);
      const isMet = atMost === undefined ? found >= (atLeast ?? 0) : found <= atMost;
      const beside = against ? `${short(found)} x of ${short(against.value)} ${unit} (${against.name})` : "";
      const goal = `at ${atMost === undefined ? "least" : "most"} ${atMost ?? atLeast} ${against ? "x" : unit}`;
      return `| ${part}: ${figure.name} | ${short(value)} ${unit} | ${beside} | ${goal} | ${isMet ? "yes" : "**no**"} |`;
    })
    .join("\n");
}

/** What is beyond its guard. A line that has one and was not measured is an error too. */
export function violations(part: Part, figures: readonly Figure[]): string[] {
  return Object.entries(goalsOf(part)).flatMap(([name, { guard }]) => {
    if (guard === undefined) return [];
    const figure = figures.find((each) => each.name === name);
    const found = figure ? judged(figure) : Number.NaN;
    return found <= guard ? [] : [`${part}: ${name}: ${found.toFixed(2)}, the guard allows ${guard}`];
  });
}

function goalOf(part: Part, name: string): Goal {
  const goal = goalsOf(part)[name];
  if (!goal) throw new Error(`goals.ts has no line "${name}" in ${part}`);
  return goal;
}
