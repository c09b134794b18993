import type { Config } from "../config/config.js";
import { withoutVariablesOf } from "../document/named_variables.js";
import { type RestoreReport, restoreStore } from "../domain/operations/restore.js";
import type { Clock } from "../runtime/clock.js";
import { KeyRingSource } from "../vault/key_source.js";

export type { RestoreReport };

/** Puts a backup into the data folder of the settings, whose daemon does not run. @throws as `restoreStore` */
export function restoreFromSettings(options: {
  readonly config: Config;
  readonly file: string;
  readonly force: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
}): Promise<RestoreReport> {
  const { config, file, force, clock } = options;
  const environment = withoutVariablesOf(config.providersFile, options.environment);
  process.umask(0o077);
  const keys = new KeyRingSource({ source: config.encryptionKey, environment, clock });
  return restoreStore({ dataDir: config.dataDir, keys, file, force, clock });
}
