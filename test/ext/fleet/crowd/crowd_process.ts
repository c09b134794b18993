/** Spokes as their hubs see them, all in this process: what `Crowd` starts and asks. */
import { createSecureContext } from "node:tls";
import { type CrowdCounts, type CrowdPlace, CrowdSpoke, Starts } from "./crowd_spoke.js";

export interface CrowdSettings {
  /** Of the hubs on this machine; all spokes begin with the first one. */
  readonly ports: readonly number[];
  /** What each spoke presents. */
  readonly tokens: readonly string[];
  /** In PEM, of the certificate of the hubs. */
  readonly ca: string;
}

export interface CrowdQuestion {
  readonly id: number;
  readonly ask:
    | { readonly kind: "begin"; readonly settings: CrowdSettings }
    /** Answered when all have had a bookmark on their present streams. */
    | { readonly kind: "whole" }
    /** Answered when all hold that revision of the connection, or of each that they see. */
    | { readonly kind: "holds"; readonly revision: bigint; readonly connectionId: string | undefined }
    | { readonly kind: "report" };
}

export interface CrowdReport extends CrowdCounts {
  /** Connections of which a spoke held a token that had ended. */
  readonly lapsed: number;
  /** Tokens of the spoke that holds fewest, and of the one that holds most. */
  readonly fewest: number;
  readonly most: number;
  readonly whole: number;
}

/** When the last spoke was as asked, or the report. */
export interface CrowdAnswer {
  readonly id: number;
  readonly value: number | CrowdReport;
}

/** How exactly a time is told does not depend on it: spokes note when. */
const askMs = 50;
const lookMs = 1_000;

class CrowdProcess {
  readonly #counts: CrowdCounts = { snapshots: 0, resumes: 0, resets: 0, backwards: 0, ends: {} };
  readonly #spokes: readonly CrowdSpoke[];
  readonly #lapsed = new Set<string>();

  constructor({ ports, tokens, ca }: CrowdSettings) {
    const secureContext = createSecureContext({ ca });
    const place: CrowdPlace = { ports, secureContext, counts: this.#counts, starts: new Starts() };
    this.#spokes = tokens.map((token, index) => new CrowdSpoke(place, token, index));
    for (const spoke of this.#spokes) spoke.open();
    setInterval(() => this.#look(), lookMs);
  }

  /** @param atMs when a spoke was as is asked; undefined while it is not @returns when the last one was */
  async last(atMs: (spoke: CrowdSpoke) => number | undefined): Promise<number> {
    for (;;) {
      const times = this.#spokes.map(atMs);
      if (times.every((time) => time !== undefined)) return times.reduce((a, b) => Math.max(a, b), 0);
      await new Promise((resolve) => setTimeout(resolve, askMs));
    }
  }

  report(): CrowdReport {
    this.#look();
    const held = this.#spokes.map(({ tokens }) => tokens.size);
    return {
      ...this.#counts,
      lapsed: this.#lapsed.size,
      fewest: Math.min(...held),
      most: Math.max(...held),
      whole: this.#spokes.filter(({ wholeAtMs }) => wholeAtMs !== undefined).length,
    };
  }

  #look(): void {
    const now = Date.now();
    for (const { tokens } of this.#spokes)
      for (const [id, { expiresAtMs }] of tokens) if (expiresAtMs <= now) this.#lapsed.add(id);
  }
}

let crowd: CrowdProcess;

async function answer(ask: CrowdQuestion["ask"]): Promise<CrowdAnswer["value"]> {
  if (ask.kind === "begin") crowd = new CrowdProcess(ask.settings);
  if (ask.kind === "whole") return await crowd.last(({ wholeAtMs }) => wholeAtMs);
  if (ask.kind !== "holds") return crowd.report();
  const { connectionId, revision } = ask;
  return await crowd.last(({ tokens }) => {
    const held = connectionId === undefined ? [...tokens.values()] : [tokens.get(connectionId)];
    const isThere = held.every((token) => token !== undefined && token.revision >= revision);
    return isThere ? Math.max(...held.map((token) => token?.atMs ?? 0)) : undefined;
  });
}

process.on("message", async ({ id, ask }: CrowdQuestion) => {
  const value = await answer(ask);
  if (process.connected) process.send?.({ id, value } satisfies CrowdAnswer);
});
process.once("disconnect", () => process.exit(0));
