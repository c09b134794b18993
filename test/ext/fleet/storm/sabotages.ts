import type { Edit } from "../real/edited_build.js";

/**
 * What must be found: the product, broken in one place. Two walls have a second one behind them, so that no fault shows that one of them is
 * gone: the fence of a commit stands before the check of its position, and a request that is sent too late before the patience of the
 * next leader. Tests of their own hold both.
 */
export const sabotages: Readonly<Record<string, Edit>> = {
  /** What another hub was about to send is not left alone: `--points "request on kill hub"` finds it. */
  patience: [
    "src/model/refresh/foreign_intent.ts",
    "if (intent?.owner === undefined || intent.owner === owner) return undefined;",
    "if (intent?.owner === undefined || owner !== undefined) return undefined;",
  ],
  /** A batch whose answer is lost is taken for durable: the storm finds it. */
  commit: [
    "src/ext/fleet/database/log/database_log.ts",
    "if (failures++ === 0) {",
    'if (failures++ === 0) return "ok";\n        {',
  ],
};
