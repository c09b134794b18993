/** Spokes as their hubs see them, all in this process: what `Crowd` starts and asks. */
import { createSecureContext } from "node:tls";
import { type CrowdCounts, type CrowdPlace, CrowdSpoke } from "./crowd_spoke.js";

export interface CrowdSettings {
  readonly count: number;
  readonly ports: readonly number[];
  /** API keys, which the spokes have in turn. */
  readonly keys: readonly string[];
  /** In PEM, of the certificate of the hubs; left out: they speak plain text. */
  readonly ca?: string;
}

export type CrowdQuestion =
  | { readonly kind: "begin"; readonly settings: CrowdSettings }
  /** Answered when all have had a bookmark on their present streams. */
  | { readonly kind: "whole"; readonly id: number }
  /** Told when it is armed, and answered when all hold that revision of the connection. */
  | {
      readonly kind: "revision";
      readonly id: number;
      readonly connectionId: string;
      readonly revision: number;
    }
  /** All go to these hubs, in turn. */
  | { readonly kind: "move"; readonly ports: readonly number[] }
  | { readonly kind: "report"; readonly id: number };

export interface CrowdReport extends CrowdCounts {
  /** Connections of which a spoke held a token that had ended. */
  readonly lapsed: readonly string[];
  readonly whole: number;
}

export type CrowdAnswer =
  | { readonly kind: "whole" | "armed"; readonly id: number; readonly atNs: string }
  | { readonly kind: "revision"; readonly id: number; readonly atNs: string }
  | { readonly kind: "report"; readonly id: number; readonly report: CrowdReport };

const lookMs = 1_000;

class CrowdProcess implements CrowdPlace {
  readonly counts: CrowdCounts = { attempts: 0, snapshots: 0, resets: 0, states: 0, ends: {} };
  readonly secureContext;
  ports: readonly number[];
  readonly #spokes: readonly CrowdSpoke[];
  readonly #lapsed = new Set<string>();
  readonly #waiting = new Set<number>();
  #whole = 0;
  #awaited: { id: number; connectionId: string; revision: bigint; without: Set<CrowdSpoke> } | undefined;

  constructor({ count, ports, keys, ca }: CrowdSettings) {
    this.ports = ports;
    this.secureContext = ca === undefined ? undefined : createSecureContext({ ca });
    this.#spokes = Array.from(
      { length: count },
      (_, index) => new CrowdSpoke(this, keys[index % keys.length] ?? "", index),
    );
    for (const spoke of this.#spokes) spoke.open();
    setInterval(() => this.#look(), lookMs);
  }

  onWhole(): void {
    this.#whole++;
    this.#tellWhole();
  }

  onCut(): void {
    this.#whole--;
  }

  onState(spoke: CrowdSpoke, connectionId: string): void {
    if (connectionId === this.#awaited?.connectionId) this.#judge(spoke);
  }

  whole(id: number): void {
    this.#waiting.add(id);
    this.#tellWhole();
  }

  await(id: number, connectionId: string, revision: bigint): void {
    this.#awaited = { id, connectionId, revision, without: new Set(this.#spokes) };
    say({ kind: "armed", id, atNs: nowNs() });
    for (const spoke of this.#spokes) this.#judge(spoke);
  }

  move(ports: readonly number[]): void {
    this.ports = ports;
    for (const [index, spoke] of this.#spokes.entries()) spoke.moveTo(index);
  }

  report(id: number): void {
    this.#look();
    say({ kind: "report", id, report: { ...this.counts, lapsed: [...this.#lapsed], whole: this.#whole } });
  }

  #judge(spoke: CrowdSpoke): void {
    const awaited = this.#awaited;
    if (!awaited) return;
    const { id, connectionId, revision, without } = awaited;
    if ((spoke.tokens.get(connectionId)?.revision ?? 0n) >= revision) without.delete(spoke);
    if (without.size > 0) return;
    this.#awaited = undefined;
    say({ kind: "revision", id, atNs: nowNs() });
  }

  #tellWhole(): void {
    if (this.#whole < this.#spokes.length) return;
    for (const id of this.#waiting) say({ kind: "whole", id, atNs: nowNs() });
    this.#waiting.clear();
  }

  #look(): void {
    const nowMs = Date.now();
    for (const spoke of this.#spokes) for (const id of spoke.lapsed(nowMs)) this.#lapsed.add(id);
  }
}

function nowNs(): string {
  return process.hrtime.bigint().toString();
}

function say(answer: CrowdAnswer): void {
  process.send?.(answer);
}

let crowd: CrowdProcess | undefined;
process.on("message", (question: CrowdQuestion) => {
  if (question.kind === "begin") crowd = new CrowdProcess(question.settings);
  else if (question.kind === "whole") crowd?.whole(question.id);
  else if (question.kind === "move") crowd?.move(question.ports);
  else if (question.kind === "report") crowd?.report(question.id);
  else crowd?.await(question.id, question.connectionId, BigInt(question.revision));
});
process.once("disconnect", () => process.exit(0));
