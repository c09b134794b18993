/** What must have been seen for the demo to have shown the main job. */
export class Sightings {
  readonly #revisions = new Set<bigint>();
  attention = false;

  addRevision(revision: bigint): void {
    this.#revisions.add(revision);
  }

  get revisions(): number {
    return this.#revisions.size;
  }

  /** Undefined when nothing is missing. */
  get missing(): string | undefined {
    const parts: string[] = [];
    if (this.revisions < 3) parts.push(`three revisions of the token (seen: ${this.revisions})`);
    if (!this.attention) parts.push(`the state "attention"`);
    return parts.length === 0 ? undefined : parts.join(" and ");
  }
}
