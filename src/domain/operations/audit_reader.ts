import type { AuditPage, AuditPageResult } from "../../store/audit/audit_reads.js";
import type { AuditCheckpoint, AuditVerdict } from "../../store/audit/audit_verification.js";
import type { Store } from "../../store/store.js";

/** Events checked in one stretch: some 10 ms, so that other callers are not held up. */
const stretch = 1_000;

/** Reads the audit log and checks its chain. */
export class AuditReader {
  constructor(private readonly deps: { readonly store: Store }) {}

  list(page: AuditPage): AuditPageResult {
    return this.deps.store.listAuditEvents(page);
  }

  /** @throws the reason of `signal` when it aborts */
  async verify(checkpoint: AuditCheckpoint | undefined, signal: AbortSignal): Promise<AuditVerdict> {
    const verification = this.deps.store.verifyAudit(checkpoint);
    for (;;) {
      const verdict = verification.step(stretch);
      if (verdict) return verdict;
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
  }
}
