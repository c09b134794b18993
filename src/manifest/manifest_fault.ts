/** One fault of a manifest and where it is; lines and columns count from 1. */
export interface ManifestFault {
  readonly line: number;
  readonly column: number;
  /** Names the field and the limit, never a value. */
  readonly message: string;
}

/** The manifest cannot be used: nothing of it is applied. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";

  /** In the order of the lines. */
  readonly faults: readonly ManifestFault[];

  constructor(faults: readonly ManifestFault[]) {
    super("the manifest cannot be used");
    this.faults = faults.toSorted((one, other) => one.line - other.line || one.column - other.column);
  }
}

/** `12:5: client_id: is required`, a line for each. */
export function formatFaults({ faults }: ManifestError): string[] {
  return faults.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}
