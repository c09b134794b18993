import type { Edit } from "../real/edited_build.js";

/**
 * What must be found: the product, broken in one place. The fence of a commit has the check of its position behind it, so that no fault shows
 * that it is gone: tests of its own hold it.
 */
export const sabotages: Readonly<Record<string, Edit>> = {
  /** A request that another hub may have sent is sent again: `--points "request on kill hub"` finds it. */
  intent: [
    "src/model/refresh/foreign_intent.ts",
    "if (intent?.owner === undefined || intent.owner === owner) return undefined;",
    "if (intent?.owner === undefined || owner !== undefined) return undefined;",
  ],
  /** A former leader sends what it marked before it was stopped: `--points "intent durable stop hub"` finds it. */
  send: [
    "src/ext/fleet/database/lease.ts",
    "if (this.#fence === undefined || this.#asked === undefined) return false;",
    "if (this.#timer !== undefined) return true;\n    if (this.#asked === undefined) return false;",
  ],
  /** A batch whose answer is lost is taken for durable: the storm finds it. */
  commit: [
    "src/ext/fleet/database/log/database_log.ts",
    "if (failures++ === 0) {",
    'if (failures++ === 0) return "ok";\n        {',
  ],
};
