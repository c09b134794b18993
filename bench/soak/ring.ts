import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DaemonProcess } from "../../test/daemon/daemon_process.js";
import type { Place } from "../../test/daemon/harness.js";

/** Of a ring in a file, where the daemon makes one by itself. */
const fileName = "encryption.key";

/** The keys of a daemon, changed as its operator changes them: by `nexusd keyring`, while it serves. */
export class Ring {
  rotations = 0;

  constructor(private readonly place: Place) {}

  /** The first key, before the daemon starts. */
  begin(key: Buffer): void {
    const path = join(this.place.config.dataDir, fileName);
    writeFileSync(path, `${key.toString("base64")}\n`, { mode: 0o600 });
    chmodSync(path, 0o600);
  }

  /** Makes a key, seals every record with it, and retires the one before. */
  async rotate(): Promise<void> {
    const before = await this.#onlyKey();
    await this.#keyring("add");
    // Fails where a record is left that needs another key.
    await this.#keyring("rotate");
    await this.#keyring("retire", before, "--yes");
    const lines = readFileSync(join(this.place.config.dataDir, fileName), "utf8").trim().split("\n");
    if (lines.length !== 1 || (await this.#onlyKey()) === before) throw new Error("the ring did not rotate");
    this.rotations++;
  }

  async #onlyKey(): Promise<string> {
    const { keyring } = JSON.parse(await this.#keyring("status")) as {
      keyring: { keys: readonly { key_id: string }[] };
    };
    const [key, ...others] = keyring.keys;
    if (key === undefined || others.length > 0) throw new Error(`the ring has ${keyring.keys.length} keys`);
    return key.key_id;
  }

  async #keyring(...args: readonly string[]): Promise<string> {
    const command = new DaemonProcess(this.place.environment, ["keyring", ...args, "--json"]);
    const code = await command.exited;
    if (code !== 0) throw new Error(`nexusd keyring ${args[0]} ended with ${code}: ${command.output}`);
    return command.output;
  }
}
