import { ExtensionTable } from "../../core/registry.js";

/** By the SHA-256 of the agent. */
export const sessionTable = new ExtensionTable<Buffer>("session_labels", { isKeyedByBytes: true });

/** By the SHA-256 of the principal and the rule. */
export const useTable = new ExtensionTable<Buffer>("use_counts", { isKeyedByBytes: true });
