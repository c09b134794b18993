/** Where a panel is drawn. */
interface LiveOutput {
  readonly rows?: number | undefined;
  write(text: string): void;
}

/** Lines at the end of what a terminal shows, drawn anew in place, under lines that stay. */
export class LivePanel {
  #drawn = 0;

  constructor(private readonly output: LiveOutput) {}

  /**
   * Writes lines that stay above the panel, and the panel as it is now. What is higher than the terminal is cut: it could not be drawn
   * over.
   *
   * @param lines that stay, each with its end
   * @param panel without line ends, none wider than the terminal
   */
  draw(lines: readonly string[], panel: readonly string[]): void {
    const room = Math.max(1, (this.output.rows ?? 24) - 1);
    const shown = panel.length <= room ? panel : [...panel.slice(0, room - 1), more(panel.length - room + 1)];
    const back = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\x1b[0J`;
    this.output.write(`${back}${lines.join("")}${shown.map((line) => `${line}\n`).join("")}`);
    this.#drawn = shown.length;
  }
}

function more(count: number): string {
  return `and ${count} more`;
}
