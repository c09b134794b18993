import type { Secret } from "../../runtime/secret.js";

/** Where the keys that seal the store come from: one key, or a ring with the newest last. */
export type KeySource =
  /** Keys of 32 bytes each, base64 or base64url, separated by white space or commas. */
  | { readonly source: "environment"; readonly key: Secret }
  /** A file that must exist. */
  | { readonly source: "file"; readonly path: string }
  /** Made on first start: `<dataDir>/encryption.key`. */
  | { readonly source: "generated"; readonly path: string }
  /** A program with its arguments, run without a shell: it prints the keys. */
  | { readonly source: "command"; readonly argv: readonly string[] };
