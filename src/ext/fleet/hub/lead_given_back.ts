import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** When and why a hub gave the lead of its fleet back by itself. */
export interface LeadGivenBack {
  /** Of the wall clock. */
  readonly atMs: number;
  readonly reason: string;
}

/** The file of it, beside the store: the process that gave the lead back ends. */
export class LeadGivenBackFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, "lead-given-back.json");
  }

  /** Undefined when there is none, or none that can be read: then this hub may lead as any other. */
  read(): LeadGivenBack | undefined {
    try {
      const { atMs, reason } = JSON.parse(readFileSync(this.#path, "utf8"));
      return Number.isSafeInteger(atMs) && typeof reason === "string" ? { atMs, reason } : undefined;
    } catch {
      return undefined;
    }
  }

  /** @throws Error of the system */
  async write(given: LeadGivenBack): Promise<void> {
    await writeFile(this.#path, `${JSON.stringify(given)}\n`, { mode: 0o600, flush: true });
  }
}
