/** A catalogue file that cannot be used. The message names the file, the place and the entry of each error. */
export class CatalogueError extends Error {
  override readonly name = "CatalogueError";

  constructor(
    readonly file: string,
    readonly violations: readonly string[],
  ) {
    super(
      [`the catalogue ${file} cannot be used:`, ...violations.map((violation) => `  ${violation}`)].join(
        "\n",
      ),
    );
  }
}
