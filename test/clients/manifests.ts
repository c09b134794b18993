import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../suites/languages.js";

/** `clients/<lang>/testdriver/driver.json`, or one of a list there; PROTOCOL.md says what the fields mean. */
interface Manifest {
  readonly language: string;
  readonly needs: readonly string[];
  readonly download?: readonly (readonly string[])[];
  readonly build: readonly (readonly string[])[];
  readonly run: readonly string[];
  readonly snippet: Snippet;
}

interface Snippet {
  /** Info string of the fenced block. */
  readonly block: string;
  readonly file: string;
  readonly run: readonly string[];
}

/** The client library of one language, and how its driver is started. */
export interface ClientLibrary extends Manifest {
  /** Name of its folder under `clients/`. */
  readonly lang: string;
  readonly folder: string;
}

const clients = join(root, "clients");

/** All libraries that have a driver. @throws Error for a manifest that is none */
export function findLibraries(): ClientLibrary[] {
  const folders = readdirSync(clients, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map(({ name }) => ({ lang: name, file: join(clients, name, "testdriver/driver.json") }))
    .filter(({ file }) => existsSync(file))
    .flatMap(({ lang, file }) => {
      const manifests = [JSON.parse(readFileSync(file, "utf8")) as Manifest | Manifest[]].flat();
      return manifests.map((manifest) => ({ manifest, lang, file }));
    })
    .map(({ manifest, lang, file }) => {
      for (const field of ["language", "needs", "build", "run", "snippet"] as const) {
        if (manifest[field] === undefined) throw new Error(`${file}: ${field} is missing`);
      }
      return { ...manifest, lang, folder: join(clients, lang) };
    });
}

/** A command whose first word, if it has a slash, is a path from the library's folder. */
export function commandOf(folder: string, [program = "", ...args]: readonly string[]): string[] {
  return [program.includes("/") ? join(folder, program) : program, ...args];
}
