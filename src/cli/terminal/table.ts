import { type Color, colorOfState, type Screen } from "./screen.js";

const gap = 2;
/** A narrower column says nothing: then lines are longer than the screen. */
const narrowest = 6;
/** Under these stands a state. */
const stateTitles = ["STATUS", "STATE"];
/** Under these titles stands what a person copies, or looks for first. */
const neverCut = ["ID", "KEY", "NAME", "TIME", "EVENT", "CONNECTION", ...stateTitles];
/** These give way when no other can. */
const cutLast = ["PROBLEM"];

/**
 * Columns as wide as their widest cell, two spaces between, no spaces at the end. On a screen that is too narrow the widest columns give
 * way, and what they lose is marked.
 *
 * @param rows cells without control characters
 */
export function layoutTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  screen: Screen,
): string {
  const widths = shrunk(header, naturalWidths(header, rows), screen.columns);
  const line = (cells: readonly string[], colorOf: (column: number) => Color | undefined): string =>
    widths
      .map((width, column) => {
        const text = cut(cells[column] ?? "", width);
        return screen.paint(colorOf(column), text) + " ".repeat(width - text.length);
      })
      .join(" ".repeat(gap))
      .trimEnd();
  const lines = [
    line(header, () => "bold"),
    ...rows.map((cells) =>
      line(cells, (column) => {
        const isState = stateTitles.includes(header[column] ?? "");
        return isState ? colorOfState(cells[column] ?? "") : undefined;
      }),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function naturalWidths(header: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return header.map((title, column) =>
    Math.max(title.length, ...rows.map((cells) => cells[column]?.length ?? 0)),
  );
}

/** Takes from the widest column until the line fits. */
function shrunk(
  header: readonly string[],
  natural: readonly number[],
  columns: number | undefined,
): number[] {
  const widths = [...natural];
  const widthOf = (column: number): number => widths[column] ?? 0;
  const total = (): number => widths.reduce((sum, width) => sum + width, gap * (widths.length - 1));
  const isLast = (column: number): boolean => cutLast.includes(header[column] ?? "");
  while (columns !== undefined && total() > columns) {
    const [widest] = [...header.keys()]
      .filter((column) => {
        const title = header[column] ?? "";
        return !neverCut.includes(title) && widthOf(column) > Math.max(narrowest, title.length);
      })
      .sort((one, other) => Number(isLast(one)) - Number(isLast(other)) || widthOf(other) - widthOf(one));
    if (widest === undefined) break;
    widths[widest] = widthOf(widest) - 1;
  }
  return widths;
}

/** With a mark instead of what is lost. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
