/** A catalogue file that cannot be used. The message names the file, the place and the entry of each fault. */
export class CatalogueFault extends Error {
  override readonly name = "CatalogueFault";

  constructor(
    readonly file: string,
    readonly faults: readonly string[],
  ) {
    super([`the catalogue ${file} cannot be used:`, ...faults.map((fault) => `  ${fault}`)].join("\n"));
  }
}
