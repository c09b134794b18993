/** A span of a text, from its first character to the one behind its last. */
export interface EditSpan {
  readonly start: number;
  readonly end: number;
}

export interface Edit extends EditSpan {
  readonly text: string;
}

/** A member of an object: its whole text, and that of its value. */
export interface ObjectMember extends EditSpan {
  readonly name: string;
  readonly value: EditSpan;
}

/** How members of an object are set apart. */
export type Separator = "comma" | "line";

/** The text after edits that do not overlap. */
export function edited(text: string, edits: readonly Edit[]): string {
  const sorted = [...edits].sort((one, other) => other.start - one.start || other.end - one.end);
  let result = text;
  for (const { start, end, text: replacement } of sorted)
    result = `${result.slice(0, start)}${replacement}${result.slice(end)}`;
  return result;
}

/** Removes members, their commas, and the lines that they leave empty. Comments stay. @param all those of the object, in order */
export function removals(
  text: string,
  all: readonly ObjectMember[],
  members: readonly ObjectMember[],
  separator: Separator,
): Edit[] {
  const starts = new Set(members.map(({ start }) => start));
  const isGone = ({ start }: ObjectMember) => starts.has(start);
  if (separator === "line") return members.map((member) => wholeLine(text, member));
  const lastKept = all.findLast((member) => !isGone(member));
  const edits = all.flatMap((member, at) => {
    if (!isGone(member)) return [];
    const comma = all[at + 1] ? commaAfter(text, member.end) : -1;
    const end = comma < 0 ? member.end : comma + 1;
    return [wholeLine(text, { start: member.start, end })];
  });
  // Strict JSON has no comma behind the last member.
  const isLastGone = all.slice(-1).some(isGone);
  const comma = lastKept && isLastGone ? commaAfter(text, lastKept.end) : -1;
  return comma < 0 ? edits : [...edits, { start: comma, end: comma + 1, text: "" }];
}

/** The span, and the line that it leaves empty or else the spaces behind it. */
function wholeLine(text: string, { start, end }: EditSpan): Edit {
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const rest = /^[ \t]*(\r?\n|$)/.exec(text.slice(end));
  if (rest && /^[ \t]*$/.test(text.slice(lineStart, start)))
    return { start: lineStart, end: end + rest[0].length, text: "" };
  const spaces = /^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0;
  return { start, end: end + spaces, text: "" };
}

/** Where the next comma is, behind spaces and comments; below 0 where something else comes first. */
function commaAfter(text: string, from: number): number {
  const skipped = /^(\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/.exec(text.slice(from))?.[0].length ?? 0;
  return text[from + skipped] === "," ? from + skipped : -1;
}
