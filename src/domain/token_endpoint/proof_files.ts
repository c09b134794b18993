import { GrantFailure } from "../../oauth/failure.js";
import { NamedFileRefused, NamedFiles, type NamedFilesDeps } from "../../outbound/named_files.js";

/** Named files with what a client proves itself by. */
export abstract class ProofFiles {
  readonly #files: NamedFiles;

  constructor(files: NamedFilesDeps) {
    this.#files = new NamedFiles(files);
  }

  get names(): readonly string[] {
    return this.#files.names;
  }

  /**
   * What the file holds now. Neither path nor content is ever in an error.
   *
   * @throws GrantFailure of kind `client` when the setting has no such name, or the file is too large or none; `transient` when it cannot be read now
   */
  protected async text(name: string): Promise<string> {
    try {
      return await this.#files.text(name);
    } catch (error) {
      if (!(error instanceof NamedFileRefused)) throw error;
      throw refusedFile(error.isPassing ? "transient" : "client", error.message);
    }
  }
}

/** Nothing was sent. */
export function refusedFile(kind: "client" | "transient", refusal: string): GrantFailure {
  return new GrantFailure({ kind, refusal });
}
