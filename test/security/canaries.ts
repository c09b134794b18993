import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** A secret to look for, and what to call it in a failure: the secret itself is never printed. */
export interface Canary {
  readonly kind: string;
  readonly value: string | Buffer;
}

/** The notations in which a secret could lie about without being seen. */
export function formsOf(value: string | Buffer): Buffer[] {
  const bytes = Buffer.from(value);
  const texts = [
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    // Inside other base64 a text begins at any of three places; the letters at both ends depend on its neighbours.
    ...[1, 2].map((shift) =>
      Buffer.concat([Buffer.alloc(shift), bytes])
        .toString("base64")
        .slice(4)
        .slice(0, -4),
    ),
  ];
  if (typeof value === "string") {
    texts.push(encodeURIComponent(value), JSON.stringify(value).slice(1, -1));
    texts.push(
      [...value].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
    );
    texts.push(value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;"));
    texts.push(Buffer.from(value, "utf16le").toString("latin1"));
  }
  const forms = [bytes, ...texts.map((text) => Buffer.from(text, "latin1"))];
  return forms.filter((form) => form.length >= 8);
}

/** The kinds of the canaries that lie in `haystack` in any notation. */
export function foundIn(haystack: Buffer | string, canaries: readonly Canary[]): string[] {
  const bytes = Buffer.from(haystack);
  return canaries
    .filter(({ value }) => formsOf(value).some((form) => bytes.includes(form)))
    .map(({ kind }) => kind);
}

/** Every file below a folder but sockets, by its path within. */
export function filesOf(folder: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (statSync(join(folder, name)).isFile()) files.set(name, readFileSync(join(folder, name)));
  }
  return files;
}
