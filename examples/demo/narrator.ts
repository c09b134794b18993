import { styleText } from "node:util";

/** The program of this repository, in its folder. */
export const nexusd = "npx --no-install nexusd";

/** Something that happened, for scripts and for people. */
export interface Scene {
  /** What `--json` prints; never a secret. */
  readonly record: { readonly step: string } & Readonly<Record<string, unknown>>;
  readonly headline: string;
  /** Why it matters, line by line. */
  readonly why?: readonly string[];
  /** A command that does the same, or looks at it, at the daemon of the demo; it works for as long as that lives. */
  readonly byHand?: string;
  /** What a person must not overlook, line by line. */
  readonly banner?: readonly string[];
}

export type Narrator = (scene: Scene) => void;

type Write = (text: string) => void;

/** One JSON object a line. */
export function jsonNarrator(write: Write): Narrator {
  return ({ record: { step, ...rest } }) =>
    write(`${JSON.stringify({ step, at: new Date().toISOString(), ...rest })}\n`);
}

export function plainNarrator(write: Write, isColoured: boolean): Narrator {
  const paint: typeof styleText = (style, text) => (isColoured ? styleText(style, text) : text);
  const margin = " ".repeat(10);
  const rule = "━".repeat(78);
  return ({ headline, why = [], byHand, banner }) => {
    const time = new Date().toTimeString().slice(0, 8);
    write(`${paint("dim", time)}  ${paint("bold", headline)}\n`);
    for (const line of why) write(`${margin}${line}\n`);
    if (byHand !== undefined) write(`${margin}${paint("dim", "by hand:")} ${paint("cyan", byHand)}\n`);
    write("\n");
    if (banner) write(`${rule}\n\n${paint("bold", banner.join("\n"))}\n\n${rule}\n\n`);
  };
}
