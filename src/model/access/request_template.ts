/** What stands in a template for a part that differs from request to request: the RE2 pattern of it, and an example. */
const kinds = {
  number: { pattern: "[0-9]+", example: "1" },
  uuid: { pattern: "[0-9a-fA-F-]{36}", example: "1b4e28ba-2fa1-41d2-883f-0016d3cca427" },
  hex: { pattern: "[0-9a-fA-F]{6,}", example: "0a1b2c3d4e5f" },
  token: { pattern: "[A-Za-z0-9_-]{16,}", example: "Zx81-kQ04_Lm27pT9w" },
  id: { pattern: "[^/:%]+", example: "x9.y8z7" },
  any: { pattern: "[^/]+", example: "x9:y8z7" },
  /** Never of a path. */
  text: { pattern: "(?s:.*)", example: "x9" },
} as const;

const placeholder = new RegExp(`\\{(${Object.keys(kinds).join("|")})\\}`, "g");

export type TemplateKind = keyof typeof kinds;
export const templateKinds = Object.keys(kinds) as readonly TemplateKind[];

/** An RE2 pattern of the texts that a template stands for, without its anchors. Most need no backslash. */
export function templatePattern(template: string): string {
  return template
    .split(placeholder)
    .map((part, at) => (at % 2 === 1 ? kinds[part as TemplateKind].pattern : quoted(part)))
    .join("");
}

function quoted(text: string): string {
  return text.replace(/[.$]|[\\^*+?(){}|[\]]/g, (letter) =>
    letter === "." || letter === "$" ? `[${letter}]` : `\\${letter}`,
  );
}

/** One of the texts that a template stands for. */
export function exampleOf(template: string): string {
  return template.replace(placeholder, (_, kind: TemplateKind) => kinds[kind].example);
}
