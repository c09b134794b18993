import { existsSync } from "node:fs";
import type { KeySource } from "../model/credentials/key_source.js";
import type { Clock } from "../runtime/clock.js";
import { runKeyCommand } from "./key_command.js";
import {
  addToKeyFile,
  createKeyFile,
  decodeKeys,
  KeyError,
  readKeyFile,
  removeFromKeyFile,
} from "./key_file.js";

/** Variables that are secrets of ours and no business of a command. */
const keptFromCommands = new Set([
  "NEXUS_ENCRYPTION_KEY",
  "NEXUS_CLIENT_SECRET",
  "NEXUS_API_KEY",
  "NEXUS_STORE",
]);

/** Reads the ring, and changes it where it lies in a file. */
export class KeyRingSource {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(
    private readonly deps: {
      readonly source: KeySource;
      readonly environment: NodeJS.ProcessEnv;
      readonly clock: Clock;
    },
  ) {
    const own = Object.entries(deps.environment).filter(([name]) => !keptFromCommands.has(name));
    this.#environment = Object.fromEntries(own);
  }

  get kind(): KeySource["source"] {
    return this.deps.source.source;
  }

  /** The file that holds the ring; undefined when none does. */
  get path(): string | undefined {
    return "path" in this.deps.source ? this.deps.source.path : undefined;
  }

  /**
   * Reads the ring as it is now; the variables of a process never change.
   *
   * @throws KeyError
   */
  async read(): Promise<Buffer[]> {
    const source = this.deps.source;
    switch (source.source) {
      case "environment":
        return decodeKeys(source.key.reveal(), "NEXUS_ENCRYPTION_KEY");
      case "file":
      case "generated":
        return readKeyFile(source.path);
      case "command": {
        const { argv } = source;
        const options = { environment: this.#environment, clock: this.deps.clock };
        return decodeKeys(await runKeyCommand(argv, options), `the output of ${argv[0]}`);
      }
    }
  }

  /**
   * Reads the ring, or makes its first key when it is to be made and nothing was ever sealed with another.
   *
   * @param storeExists a store without its key file must not get a new key: nothing in it could be opened
   * @throws KeyError
   */
  async load(storeExists: boolean): Promise<{ readonly keys: Buffer[]; readonly created: boolean }> {
    const source = this.deps.source;
    if (source.source !== "generated" || existsSync(source.path))
      return { keys: await this.read(), created: false };
    if (storeExists) {
      throw new KeyError(
        `the store exists but its encryption key ${source.path} is missing: put it back, or name it by NEXUS_ENCRYPTION_KEY_FILE`,
      );
    }
    return { keys: [createKeyFile(source.path)], created: true };
  }

  /** Adds a new key at the end of the file, durably. @returns its id @throws KeyError when it is in no file, saying what to do */
  add(): string {
    return addToKeyFile(this.#writable("add the new key there, after the old ones, and keep the old ones"));
  }

  /** Removes a key from the file, durably. @throws KeyError */
  remove(keyId: string): void {
    removeFromKeyFile(this.#writable("remove the key there"), keyId);
  }

  #writable(instruction: string): string {
    const source = this.deps.source;
    switch (source.source) {
      case "environment":
        throw new KeyError(
          `the keys come from NEXUS_ENCRYPTION_KEY: ${instruction}, and start the daemon again`,
        );
      case "command":
        throw new KeyError(`the keys come from the command ${source.argv[0]}: ${instruction}`);
      default:
        return source.path;
    }
  }
}
