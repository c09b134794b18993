import type { Log } from "../runtime/log.js";
import { openModeOf } from "../vault/secret_file.js";

/**
 * Says which file with a secret every user of the machine can read: a key of a client, or the secrets of a webhook. They are somebody else's to
 * exchange while the daemon runs, and Kubernetes mounts secrets with 0644 where nothing else is stated, so they are taken anyway.
 *
 * @param name of it where it is named
 */
export function tellOfOpenSecret(setting: string, name: string, path: string, log: Log): void {
  const mode = modeOf(path);
  if (mode !== undefined)
    log.warn(
      { setting, name, mode },
      "a file with a secret is open to other users: set the mode 0600, or 0440 with the group of the daemon. Replace the secret if someone may have read it",
    );
}

function modeOf(path: string): string | undefined {
  try {
    return openModeOf(path);
  } catch {
    // A file that cannot be inspected is reported when it is read.
    return undefined;
  }
}
