import { readFileSync } from "node:fs";
import { NotFound } from "../model/errors.js";
import type { ProviderSettings } from "../model/providers/provider_profile.js";
import type { ProviderTemplate } from "../model/providers/provider_template.js";
import { type CatalogueEntry, templateOf } from "./catalogue_entry.js";
import { instantiate, type VariableValues } from "./instantiate.js";

export type { ProviderTemplate } from "../model/providers/provider_template.js";
export { CatalogueError } from "./catalogue_error.js";
export { hasKeyForm, keyPrefix, placeholderMark, placeholderOf } from "./key_form.js";

/** The templates of well-known providers: the built-in ones, and over them those of a file of the user. */
export class Catalogue {
  readonly #own: readonly ProviderTemplate[];
  #merged: ReadonlyMap<string, ProviderTemplate> | undefined;

  private constructor(own: readonly ProviderTemplate[]) {
    this.#own = own;
  }

  /**
   * The file is read and judged now; the built-in catalogue, which the tests judge, when it is first asked for. What reads
   * a file takes long to load, and most daemons have none.
   *
   * @param file a catalogue in YAML or JSON, by `catalogue.schema.json`; its entries replace those of the same name
   * @throws CatalogueError
   */
  static async open(file: string | undefined): Promise<Catalogue> {
    if (file === undefined) return new Catalogue([]);
    const { readCatalogueFile } = await import("./catalogue_file.js");
    return new Catalogue(readCatalogueFile(file));
  }

  /** In the order of the names. */
  list(options: {
    readonly limit: number;
    readonly afterName?: string | undefined;
    readonly namePrefix?: string | undefined;
  }): ProviderTemplate[] {
    const { limit, afterName = "", namePrefix = "" } = options;
    const all = [...this.#templates().values()];
    return all.filter(({ name }) => name > afterName && name.startsWith(namePrefix)).slice(0, limit);
  }

  find(name: string): ProviderTemplate | undefined {
    return this.#templates().get(name);
  }

  /** @throws NotFound */
  get(name: string): ProviderTemplate {
    const template = this.find(name);
    if (!template) throw new NotFound("template");
    return template;
  }

  /**
   * The settings of a profile that lacks only its client.
   *
   * @throws NotFound, InvalidArgument naming each wrong variable
   */
  instantiate(name: string, variables: VariableValues): ProviderSettings {
    return instantiate(this.get(name), variables);
  }

  #templates(): ReadonlyMap<string, ProviderTemplate> {
    if (this.#merged) return this.#merged;
    const templates = new Map<string, ProviderTemplate>();
    for (const template of [...builtIn(), ...this.#own]) templates.set(template.name, template);
    const sorted = [...templates].sort(([one], [other]) => (one < other ? -1 : 1));
    this.#merged = new Map(sorted);
    return this.#merged;
  }
}

function builtIn(): ProviderTemplate[] {
  const text = readFileSync(new URL("../catalogue/providers.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly providers: readonly CatalogueEntry[] }).providers.map(templateOf);
}
