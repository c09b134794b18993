/** What was found, by row and check, and printed as a table. */
export class Results {
  readonly #cells = new Map<string, Map<string, string>>();
  readonly #complaints: string[] = [];
  passed = 0;
  failed = 0;
  missing = 0;

  /** Runs a check. One that fails is noted, and the rest goes on. */
  async check(row: string, check: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
      this.#set(row, check, "ok");
      this.passed += 1;
    } catch (error) {
      this.fail(row, check, (error as Error).message);
    }
  }

  fail(row: string, check: string, reason: string): void {
    this.#set(row, check, "FAILED");
    this.#complaints.push(`${row}: ${check}: ${reason}`);
    this.failed += 1;
  }

  /** Without its toolchain there is nothing to say about it: a failure where everything must be there. */
  miss(row: string, check: string, program: string, mustHave: boolean): void {
    this.#set(row, check, "missing");
    this.#complaints.push(`${row}: ${program} is missing`);
    if (mustHave) this.failed += 1;
    else this.missing += 1;
  }

  /** @param order the rows in their order; by name when left out */
  table(columns: readonly string[], order?: readonly string[]): string {
    const place = (row: string) => order?.indexOf(row) ?? 0;
    const sorted = [...this.#cells].sort(
      ([one], [other]) => place(one) - place(other) || one.localeCompare(other),
    );
    const rows = sorted.map(([row, cells]) => [row, ...columns.map((name) => cells.get(name) ?? "-")]);
    const all = [["", ...columns], ...rows];
    const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
    return all
      .map((row) =>
        row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd(),
      )
      .join("\n");
  }

  get complaints(): string {
    return this.#complaints.join("\n\n");
  }

  #set(row: string, check: string, word: string): void {
    const cells = this.#cells.get(row) ?? new Map<string, string>();
    this.#cells.set(row, cells.set(check, word));
  }
}
