import { styleText } from "node:util";

/** What happened, as `--json` prints it; never a secret. */
export type Happening = { readonly step: string } & Readonly<Record<string, unknown>>;

/** What happened, as a person reads it. */
export interface Told {
  readonly headline: string;
  /** Why it matters, line by line. */
  readonly why?: readonly string[];
  /** The command that does the same. */
  readonly byHand?: string;
}

export interface Narrator {
  tell(happening: Happening, told: Told): void;
  /** Shown to a person only. */
  banner(lines: readonly string[]): void;
}

type Write = (text: string) => void;

export function jsonNarrator(write: Write): Narrator {
  return {
    tell: ({ step, ...rest }) =>
      write(`${JSON.stringify({ step, at: new Date().toISOString(), ...rest })}\n`),
    banner: () => {},
  };
}

export function plainNarrator(write: Write, isColoured: boolean): Narrator {
  const paint = (style: "bold" | "dim" | "cyan", text: string) =>
    isColoured ? styleText(style, text) : text;
  const margin = " ".repeat(10);
  return {
    tell(_happening, { headline, why = [], byHand }) {
      const time = new Date().toTimeString().slice(0, 8);
      write(`${paint("dim", time)}  ${paint("bold", headline)}\n`);
      for (const line of why) write(`${margin}${line}\n`);
      if (byHand !== undefined) write(`${margin}${paint("dim", "by hand:")} ${paint("cyan", byHand)}\n`);
      write("\n");
    },
    banner(lines) {
      const rule = "━".repeat(78);
      write(`${rule}\n\n${lines.map((line) => paint("bold", line)).join("\n")}\n\n${rule}\n\n`);
    },
  };
}
