import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { AccessControl, ApiKeys, LimitedUse, UseCounts } from "../../domain/access/access.js";
import { UseCountRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import {
  agentOf,
  by,
  isLive,
  keyPrefix,
  keyPrincipalName,
  type Principal,
  type UseLimit,
  useLimitText,
} from "../../model/access/access.js";
import { NotFound, PermissionDenied, ResourceExhausted, Unavailable } from "../../model/model.js";
import type { Changes, Clock } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import { useTable } from "./tables.js";

/** Of some 300 bytes each. */
const maxCounts = 20_000;

interface Count {
  readonly principal: string;
  readonly rule: string;
  readonly perMs: number | undefined;
  readonly sinceMs: number;
  used: number;
}

export interface CountedLimit {
  readonly principal: string;
  /** Of the policy file; 0 for the limit of an API key. */
  readonly ruleLine: number;
  readonly limit: UseLimit;
  readonly used: number;
  readonly endsAtMs: number | undefined;
}

/** Counts that are written in one commit. */
interface CountBatch {
  readonly counts: Set<Count>;
  written: Promise<void>;
}

/**
 * How often keys and rules with a limit were used. A use counts from the call that takes it, and is durable before its credential leaves: a
 * daemon that is killed has counted what it gave, and perhaps what it was about to give.
 */
export class StoredUseCounts implements UseCounts {
  readonly #counts = new Map<string, Count>();
  #batch: CountBatch | undefined;
  /** Whether `#counts` has what is stored. */
  #isOpen = false;

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly keys: Pick<ApiKeys, "find" | "list">;
      readonly access: Pick<AccessControl, "policy">;
      readonly changes: Changes;
      readonly clock: Clock;
      /** See `UseCounts`. */
      readonly refusal: () => string | undefined;
    },
  ) {
    // Its name is never given again.
    deps.changes.on("principalEnded", (name) => {
      const count = this.#counts.get(keyOf({ principal: name, rule: "" }));
      if (count && this.#isDead(count)) void this.#remove([count]).catch(() => undefined);
    });
  }

  /** Reads what is stored: a daemon that is alone or begins to lead counts on from there. */
  start(): void {
    this.#counts.clear();
    const records = this.deps.store.raw((databases) => [...useTable.of(databases).getRange({})]);
    for (const { value } of records) {
      const { principal, rule, used, sinceMs, perMs } = fromBinary(UseCountRecordSchema, value);
      const period = perMs === 0n ? undefined : Number(perMs);
      const count = { principal, rule, used, sinceMs: Number(sinceMs), perMs: period };
      this.#counts.set(keyOf(count), count);
    }
    this.#isOpen = true;
  }

  get refusal(): string | undefined {
    return this.deps.refusal();
  }

  reached(uses: readonly LimitedUse[]): ResourceExhausted | undefined {
    const nowMs = this.deps.clock.nowMs();
    for (const use of uses) {
      const { limit, what } = use;
      const count = this.#present(countedOf(use), nowMs);
      if (!count || count.used < limit.uses) continue;
      const retryAfterMs = limit.perMs === undefined ? undefined : count.sinceMs + limit.perMs - nowMs;
      const next =
        retryAfterMs === undefined
          ? "do not retry, because only an operator renews it"
          : `retry after ${new Date(nowMs + retryAfterMs).toISOString()}`;
      return new ResourceExhausted(
        "USES_EXHAUSTED",
        { what, limit: limit.uses, unit: "uses", ...(retryAfterMs !== undefined && { retryAfterMs }) },
        `the limit of uses of ${what} is reached (${useLimitText(limit)}): ${next}`,
      );
    }
    return undefined;
  }

  async take(uses: readonly LimitedUse[]): Promise<() => void> {
    // What was counted before would be given once more.
    if (!this.#isOpen) throw new Unavailable("the counts of uses were not read yet: nothing was sent", 1_000);
    const reached = this.reached(uses);
    if (reached) throw reached;
    const nowMs = this.deps.clock.nowMs();
    const isNew = uses.some((use) => !this.#counts.has(keyOf(countedOf(use))));
    if (isNew && !(await this.#hasPlace(nowMs)))
      throw new PermissionDenied(`at most ${maxCounts} limits of uses are counted at a time`);
    return await this.#taken(uses);
  }

  /** Counts without waiting between the look and the count. */
  async #taken(uses: readonly LimitedUse[]): Promise<() => void> {
    const reached = this.reached(uses);
    if (reached) throw reached;
    const nowMs = this.deps.clock.nowMs();
    const taken = uses.map((use) => {
      const which = countedOf(use);
      const count = this.#present(which, nowMs) ?? {
        ...which,
        ...{ perMs: use.limit.perMs, sinceMs: nowMs, used: 0 },
      };
      this.#counts.set(keyOf(count), count);
      count.used++;
      return count;
    });
    // What has begun anew since has nothing of it.
    const uncount = (): void => taken.forEach((count) => void count.used--);
    try {
      await this.#write(taken);
    } catch (error) {
      uncount();
      throw new Unavailable("the use of a limit cannot be recorded: send the request again", 1_000, error);
    }
    let isTakenBack = false;
    return () => {
      if (isTakenBack) return;
      isTakenBack = true;
      uncount();
      // Where this is lost, one use too few is left.
      this.#write(taken).catch(() => undefined);
    };
  }

  /** Those that work, and the rules of the present policy that were used. */
  list(): CountedLimit[] {
    const nowMs = this.deps.clock.nowMs();
    const ofKeys = this.#liveKeys(nowMs).flatMap(({ name, uses }) => {
      const which = { principal: keyPrincipalName(name), rule: "" };
      return uses ? this.#listed(which, 0, uses, nowMs) : [];
    });
    const rules = new Map((this.deps.access.policy?.rules ?? []).map((rule) => [rule.uses?.id ?? "", rule]));
    const ofRules = [...this.#counts.values()].flatMap((count) => {
      const { uses, line = 0 } = rules.get(count.rule) ?? {};
      return count.rule !== "" && uses ? this.#listed(count, line, uses.limit, nowMs) : [];
    });
    return [...ofKeys, ...ofRules].sort((one, other) =>
      one.principal === other.principal
        ? one.ruleLine - other.ruleLine
        : one.principal < other.principal
          ? -1
          : 1,
    );
  }

  /** @throws NotFound where nothing of it is limited */
  async reset(principalName: string, principal: Principal): Promise<void> {
    const counts = [...this.#counts.values()].filter((count) => count.principal === principalName);
    const key = principalName.startsWith(keyPrefix)
      ? this.deps.keys.find(principalName.slice(keyPrefix.length))
      : undefined;
    if (counts.length === 0 && !key?.uses) throw new NotFound("principal");
    await this.#remove(counts, { principalName, principal });
  }

  #listed(which: Pick<Count, "principal" | "rule">, ruleLine: number, limit: UseLimit, nowMs: number) {
    const count = this.#present(which, nowMs);
    const endsAtMs = count && limit.perMs !== undefined ? count.sinceMs + limit.perMs : undefined;
    return [{ principal: which.principal, ruleLine, limit, used: count?.used ?? 0, endsAtMs }];
  }

  #liveKeys(nowMs: number) {
    const all = { afterName: undefined, limit: Number.MAX_SAFE_INTEGER, includeRevoked: false };
    return this.deps.keys.list(all).filter((key) => isLive(key, nowMs));
  }

  /** Undefined before the first use of a period. */
  #present(which: Pick<Count, "principal" | "rule">, nowMs: number): Count | undefined {
    const count = this.#counts.get(keyOf(which));
    return count && !isOver(count, nowMs) ? count : undefined;
  }

  #isDead({ principal, rule }: Count): boolean {
    if (rule !== "" || !principal.startsWith(keyPrefix)) return false;
    const key = this.deps.keys.find(principal.slice(keyPrefix.length));
    return key === undefined || key.revokedAtMs !== undefined;
  }

  async #hasPlace(nowMs: number): Promise<boolean> {
    if (this.#counts.size < maxCounts) return true;
    const over = [...this.#counts.values()].filter((count) => isOver(count, nowMs) || this.#isDead(count));
    await this.#remove(over);
    return this.#counts.size < maxCounts;
  }

  /** One commit for all that wait for the next one. */
  #write(counts: readonly Count[]): Promise<void> {
    const batch = this.#batch ?? this.#begun();
    for (const count of counts) batch.counts.add(count);
    return batch.written;
  }

  #begun(): CountBatch {
    const batch: CountBatch = { counts: new Set(), written: Promise.resolve() };
    this.#batch = batch;
    const close = (): void => {
      if (this.#batch === batch) this.#batch = undefined;
    };
    batch.written = this.deps.store
      .commit((tx) => {
        close();
        tx.raw((databases) => {
          for (const count of batch.counts)
            if (this.#counts.get(keyOf(count)) === count)
              useTable.of(databases).putSync(digestOf(count), encoded(count));
        });
      })
      .finally(close);
    return batch;
  }

  async #remove(counts: readonly Count[], reset?: { principalName: string; principal: Principal }) {
    const { store, clock } = this.deps;
    const commit = store.commit((tx) => {
      tx.raw((databases) => {
        for (const count of counts) {
          useTable.of(databases).removeSync(digestOf(count));
          // Here, so that a use whose commit comes after this one does not store the old count again.
          if (this.#counts.get(keyOf(count)) === count) this.#counts.delete(keyOf(count));
        }
      });
      if (!reset) return;
      const event = { timeMs: clock.nowMs(), type: "uses.reset" } as const;
      tx.appendAudit({ ...event, ...by(reset.principal), reason: reset.principalName });
    });
    try {
      await commit;
    } catch (error) {
      for (const count of counts) this.#restore(count);
      throw error;
    }
  }

  /** It is stored still. */
  #restore(count: Count): void {
    const newer = this.#counts.get(keyOf(count));
    if (newer === undefined) this.#counts.set(keyOf(count), count);
    else if (newer !== count) newer.used += count.used;
  }
}

/** Whose count it is: a rule counts an agent, whichever of its keys it uses. */
function countedOf({ principalName, rule }: LimitedUse): Pick<Count, "principal" | "rule"> {
  return { principal: rule === "" ? principalName : agentOf(principalName), rule };
}

function isOver({ perMs, sinceMs }: Count, nowMs: number): boolean {
  return perMs !== undefined && nowMs - sinceMs >= perMs;
}

function keyOf({ principal, rule }: Pick<Count, "principal" | "rule">): string {
  return `${principal}\0${rule}`;
}

function digestOf(count: Count): Buffer {
  return createHash("sha256").update(keyOf(count)).digest();
}

function encoded({ principal, rule, used, sinceMs, perMs = 0 }: Count): Uint8Array {
  const times = { sinceMs: BigInt(sinceMs), perMs: BigInt(perMs) };
  return toBinary(UseCountRecordSchema, create(UseCountRecordSchema, { principal, rule, used, ...times }));
}
