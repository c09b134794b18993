/** In a file that a person wrote; both count from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** One error of such a file, and where it is. */
export interface DocumentViolation extends TextPlace {
  /** Names the field and the limit, never a value. */
  readonly message: string;
}

/** The file cannot be used: nothing of it is applied. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";

  /** In the order of the lines. */
  readonly violations: readonly DocumentViolation[];

  constructor(violations: readonly DocumentViolation[]) {
    super("the file cannot be used");
    this.violations = violations.toSorted((one, other) => one.line - other.line || one.column - other.column);
  }
}

/** `12:5: client_id: is required`, a line for each. */
export function formatViolations({ violations }: DocumentError): string[] {
  return violations.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

/** Why a file cannot be read, in words. @param code of the system, such as `ENOENT` */
export function whyUnread(code = "unknown error"): string {
  return unreadWords[code] ?? code;
}

const unreadWords: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file (ENOENT)",
  EACCES: "this user may not read it (EACCES)",
  EISDIR: "it is a folder (EISDIR)",
};
