/** HTML that is safe to stand in a page: made by `html` alone. */
export class Html {
  constructor(readonly text: string) {}
}

export type Part = Html | string | number | undefined | readonly Part[];

/** HTML with values in it. A text is escaped, for content and for quoted attributes; a list stands line by line; undefined is nothing. */
export function html(literals: TemplateStringsArray, ...values: readonly Part[]): Html {
  return new Html(
    literals
      .map((literal, index) => `${literal}${index < values.length ? textOf(values[index]) : ""}`)
      .join(""),
  );
}

/** Parts side by side, with a text between any two. */
export function joined(parts: readonly Part[], separator: string): Html {
  return new Html(parts.map(textOf).join(textOf(separator)));
}

function textOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Html) return part.text;
  if (isList(part)) return part.map(textOf).join("\n");
  return String(part).replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

function isList(part: Part): part is readonly Part[] {
  return Array.isArray(part);
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
