import type { Random } from "../suites/random.js";

/** What is fuzzed: draws an input, gives it to the code, and asks an oracle that shares nothing with that code. */
export interface Target<Input> {
  /** Of the case: a function of the random numbers alone. */
  draw(random: Random): Input;
  /** Known attacks, tried before anything is drawn. */
  readonly corpus: readonly Input[];
  /** @throws Violation, or whatever the code throws and should not */
  judge(input: Input): void | Promise<void>;
  /** Printed with a violation. Inputs are made here and hold no secret of anybody. */
  show(input: Input): string;
  /** Smaller inputs to try when one violates. */
  shrink?(input: Input): Iterable<Input>;
  /** What was accepted, refused and so on: a run that reached only one of them has not looked. */
  readonly tally: Map<string, number>;
  /** What can be judged only of many inputs together, and clearing up. @throws Violation */
  finish?(): Promise<void>;
  close?(): Promise<void>;
}

/** The code did what its oracle forbids. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

export function count(tally: Map<string, number>, word: string): void {
  tally.set(word, (tally.get(word) ?? 0) + 1);
}

/** Texts with one part left out, the larger parts first. */
export function* shorterTexts(text: string): Iterable<string> {
  for (let size = text.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < text.length; at += size) yield text.slice(0, at) + text.slice(at + size);
  }
}
