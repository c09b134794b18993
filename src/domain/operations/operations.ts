import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { KeyRingSource } from "../../vault/key_source.js";
import type { Vault } from "../../vault/vault.js";
import type { RefreshEngine } from "../grants/grants.js";
import type { Subscribers } from "../reading/reading.js";
import { AuditReader } from "./audit_reader.js";
import { ExpiryCounter } from "./expiry_counter.js";
import { KeyRing } from "./key_ring.js";
import { StatusReader } from "./status_reader.js";

export { AuditReader } from "./audit_reader.js";
export { ExpiryCounter } from "./expiry_counter.js";
export { adoptPrimary, lackedKeys, openKeyCheck, sealKeyCheck } from "./key_check.js";
export { KeyRing, keySourceFailure } from "./key_ring.js";
export { markRestored, type RestoredCounts } from "./restored_records.js";
export { sealedPages, sealedPlaceOf } from "./sealed_records.js";
export { StatusReader } from "./status_reader.js";

/** What the operator asks of the daemon itself. */
export interface Operations {
  readonly audit: AuditReader;
  readonly expiries: ExpiryCounter;
  readonly status: StatusReader;
  /** The keys that seal the store. */
  readonly ring: KeyRing;
}

export function openOperations(deps: {
  readonly store: Store;
  readonly changes: Changes;
  readonly clock: Clock;
  readonly subscribers: Subscribers;
  readonly engine: RefreshEngine;
  readonly ring: Vault;
  readonly keySource: Pick<KeyRingSource, "read">;
  /** Of this program. */
  readonly version: string;
  /** Of a daemon that is one of several. */
  readonly member: { following(): true | string; lacking(keyId: string): readonly string[] } | undefined;
}): Operations {
  const { store, changes, clock, subscribers, engine, ring, keySource, version, member } = deps;
  return {
    audit: new AuditReader({ store }),
    expiries: new ExpiryCounter({ store, clock }),
    status: new StatusReader({ store, subscribers, clock, member, engine, version }),
    ring: new KeyRing({ store, ring, source: keySource, changes, member }),
  };
}
