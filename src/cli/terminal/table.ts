import { type Color, colorOfState, type Screen } from "./screen.js";

const gap = 2;
/** A narrower column says nothing: then lines are longer than the screen. */
const narrowest = 6;
/** Under these stands a state. */
const stateTitles = ["STATUS", "STATE"];
/** Under these titles stands what a person copies, or looks for first. */
const neverCut = ["ID", "KEY", "NAME", "TIME", "EVENT", "CONNECTION", ...stateTitles];
/** Commands take the beginning of an id that is this long, and of no other one. */
const shortestId = 4;
/** A longer id is printed whole: who approves a request must not mean another one. */
const longestShortened = 8;
/** These give way when no other can. */
const cutLast = ["PROBLEM"];

/**
 * Columns as wide as their widest cell, two spaces between, no spaces at the end. On a screen that is too narrow the beginnings
 * of ids are shortened first, as far as each still names one row. Then the widest columns give way, and what they lose is marked.
 *
 * @param given cells without control characters
 */
export function layoutTable(
  header: readonly string[],
  given: readonly (readonly string[])[],
  screen: Screen,
): string {
  const rows = withShortIds(header, given, screen.columns);
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

function withShortIds(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number | undefined,
): readonly (readonly string[])[] {
  const tooWide = columns === undefined ? 0 : totalOf(naturalWidths(header, rows)) - columns;
  const at = header.indexOf("ID");
  if (tooWide <= 0 || at < 0) return rows;
  const ids = rows.map((cells) => cells[at] ?? "");
  const longest = Math.max(0, ...ids.map((id) => id.length));
  if (longest > longestShortened) return rows;
  const beginnings = (length: number): number => new Set(ids.map((id) => id.slice(0, length))).size;
  let length = Math.max(shortestId, longest - tooWide);
  while (length < longest && beginnings(length) < beginnings(longest)) length++;
  return rows.map((cells) => cells.with(at, (cells[at] ?? "").slice(0, length)));
}

function totalOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, gap * (widths.length - 1));
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
  const isLast = (column: number): boolean => cutLast.includes(header[column] ?? "");
  while (columns !== undefined && totalOf(widths) > columns) {
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
