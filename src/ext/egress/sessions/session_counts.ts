import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { DaemonSession } from "../../../cli/kit.js";
import { EgressService, EgressSessionSchema } from "../../../gen/nexus/v1/egress_pb.js";
import type { Clock, Timer } from "../../../runtime/runtime.js";
import type { EgressRecord } from "../proxy/exchange.js";

const intervalMs = 15_000;
/** The program is not held up by a daemon that is away. */
const timeoutMs = 2_000;
/** Kinds of either; a session has far fewer. */
const maxKinds = 200;

/** What one session did, as it is listed. */
export class SessionCounts implements EgressRecord {
  readonly #uses = new Map<string, { provider: string; status: number; count: bigint }>();
  readonly #refusals = new Map<string, { reason: string; count: bigint }>();

  answered(...[route, status]: Parameters<EgressRecord["answered"]>): void {
    if (route) add(this.#uses, `${route.providerName}\n${status}`, { provider: route.providerName, status });
  }

  refused(reason: string): void {
    add(this.#refusals, reason, { reason });
  }

  /** Whether no request to an API came, whatever became of it. */
  get isUnused(): boolean {
    return this.#uses.size + this.#refusals.size === 0;
  }

  get listed() {
    return { uses: [...this.#uses.values()], refusals: [...this.#refusals.values()] };
  }
}

function add<Kind extends object>(counts: Map<string, Kind & { count: bigint }>, key: string, kind: Kind) {
  const known = counts.get(key);
  if (known) known.count++;
  else if (counts.size < maxKinds) counts.set(key, { ...kind, count: 1n });
}

/** Reports to the daemon what a program does. A daemon that is away, or older, does not list it. @returns ends it */
export function reportSession(
  { daemon }: DaemonSession,
  about: { id: string; userId: string; program: string; until?: Timestamp },
  counts: SessionCounts,
  clock: Clock,
): () => Promise<void> {
  const since = timestampFromMs(clock.nowMs());
  let timer: Timer | undefined;
  const report = async (ended: boolean): Promise<void> => {
    const session = create(EgressSessionSchema, { ...about, since, ...counts.listed });
    await daemon
      .of(EgressService)
      .reportEgressSession({ session, ended }, { timeoutMs })
      .catch(() => undefined);
  };
  const repeat = (): void => {
    void report(false);
    timer = clock.setTimer(intervalMs, repeat);
  };
  repeat();
  return async () => {
    timer?.cancel();
    await report(true);
  };
}
