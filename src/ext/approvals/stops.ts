import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { AccessControl } from "../../domain/access/access.js";
import { type StopRecord, StopRecordSchema, StopsRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { by, type Principal } from "../../model/access/access.js";
import { FailedPrecondition } from "../../model/model.js";
import type { Changes, Clock } from "../../runtime/runtime.js";
import { forms, type Store } from "../../store/store.js";

/** In database `meta`. All stops are one record, so that a hub that follows notices at little cost that one came or went. */
const key = "stops";
/** Of some 100 bytes each, 2 100 at most. */
const maxStops = 1_000;

/** Principals without an API key that were stopped, although the issuer of their JWT or certificate still vouches for them. */
export class Stops {
  #bytes: Uint8Array = new Uint8Array();
  #stops: ReadonlyMap<string, StopRecord> = new Map();

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly access: AccessControl;
      readonly changes: Changes;
      readonly clock: Clock;
    },
  ) {
    this.#read();
    deps.changes.on("followed", () => this.#read());
  }

  /** In the order of their names. */
  list(): StopRecord[] {
    return [...this.#stops.values()];
  }

  /** Stops a principal, or lifts its stop. @throws FailedPrecondition (TOO_MANY_STOPS) */
  async put(name: string, isStopped: boolean, principal: Principal): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    await this.deps.store.commit((tx) => {
      const { meta } = tx.raw((databases) => databases);
      const stops = decoded(meta.getBinary(key));
      if (stops.has(name) === isStopped) return;
      const stop = { principal: name, stoppedAtMs: BigInt(nowMs), stoppedBy: principal.name };
      if (isStopped) stops.set(name, create(StopRecordSchema, stop));
      else stops.delete(name);
      if (stops.size > maxStops)
        throw new FailedPrecondition(
          "TOO_MANY_STOPS",
          `at most ${maxStops} principals are stopped at a time`,
        );
      if (isStopped) tx.needForm(forms.accessLimits);
      const sorted = [...stops.values()].sort((one, other) => (one.principal < other.principal ? -1 : 1));
      meta.putSync(key, toBinary(StopsRecordSchema, create(StopsRecordSchema, { stops: sorted })));
      const type = isStopped ? "principal.stopped" : "principal.stop_lifted";
      tx.appendAudit({ timeMs: nowMs, type, ...by(principal), reason: name });
    });
    this.#read();
  }

  #read(): void {
    const bytes = this.deps.store.raw(({ meta }) => meta.getBinary(key)) ?? new Uint8Array();
    if (Buffer.compare(bytes, this.#bytes) === 0) return;
    this.#bytes = bytes;
    this.#stops = decoded(bytes);
    this.deps.access.setStopped(new Set(this.#stops.keys()));
  }
}

function decoded(bytes: Uint8Array | undefined): Map<string, StopRecord> {
  const { stops } = fromBinary(StopsRecordSchema, bytes ?? new Uint8Array());
  return new Map(stops.map((stop) => [stop.principal, stop]));
}
