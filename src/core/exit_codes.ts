/** Every way in which `nexusd` ends. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  dataFolderInUse: 10,
  wrongEncryptionKey: 11,
  storeDamaged: 12,
  listenerNotOpened: 13,
  storeNotWritten: 14,
  sharedStoreNotUsable: 15,
  notReachable: 20,
  consentFailed: 21,
  attentionNeeded: 22,
  apiError: 23,
  followsAgain: 75,
} as const;

/** `manifest plan --detailed-exitcode`, which ends with no other code of that number. */
export const driftExitCode = 2;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodeMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "done",
  failed: "the command failed",
  usage: "wrong arguments or settings",
  dataFolderInUse: "serve, restore: another daemon uses the data folder",
  wrongEncryptionKey: "serve, restore: the encryption key does not match the store",
  storeDamaged: "serve, restore: the store, or the backup, is damaged, or of a newer version",
  listenerNotOpened: "serve: a listener cannot be opened",
  storeNotWritten: "serve: the store could not be written, and the daemon stopped",
  sharedStoreNotUsable:
    "the store that hubs share cannot be reached or used; serve: a hub refuses this daemon",
  notReachable: "the daemon cannot be reached",
  consentFailed: "consent was denied, failed, or was not given in time",
  attentionNeeded:
    "the connection has no usable token until a user acts; status --check: something needs attention",
  apiError: "curl --fail: the API answered with a status of 400 or more",
  followsAgain: "serve: the hub no longer leads: start it again",
};

/**
 * Ends this process although lmdb's writer thread does not come back from a failed write, as it does at times: `exit` would wait for
 * it, for ever. Another program in its place ends every thread, and with the code of this one; Node.js has that from 22.15. Before,
 * and where it fails, the process kills itself: better no code than a hang.
 */
export function endAtOnce(exitCode: number): never {
  try {
    const { execve } = process as { execve?: (file: string, args: readonly string[], env: object) => never };
    execve?.call(process, process.execPath, [process.execPath, "--eval", `process.exit(${exitCode})`], {});
  } catch {
    // As without it.
  }
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
}
