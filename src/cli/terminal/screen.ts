import { styleText } from "node:util";

export type Color = "green" | "yellow" | "red" | "dim" | "bold";

/** What text is laid out for. */
export interface Screen {
  /** How wide a line may be; undefined where nothing limits it, as in a pipe. */
  readonly columns: number | undefined;
  /** `text` in a color, where there are colors. */
  readonly paint: (color: Color | undefined, text: string) => string;
}

/** Where there is no terminal: as wide as it comes, without colors. */
export const plainScreen: Screen = { columns: undefined, paint: (_color, text) => text };

/** The screen behind an output. */
export function screenOf(
  env: NodeJS.ProcessEnv,
  { isTTY, columns }: { readonly isTTY: boolean; readonly columns?: number | undefined },
): Screen {
  const paints = hasColors(env, isTTY);
  return {
    columns: isTTY ? columns : undefined,
    paint: (color, text) =>
      paints && color !== undefined && text !== "" ? styleText(color, text, { validateStream: false }) : text,
  };
}

/** As Node decides it: `FORCE_COLOR` before `NO_COLOR` before what the output is. */
export function hasColors(env: NodeJS.ProcessEnv, isTTY: boolean): boolean {
  const forced = env["FORCE_COLOR"];
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  return isTTY && env["TERM"] !== "dumb";
}

/** The color of the word of a state; undefined for none. */
export function colorOfState(word: string): Color | undefined {
  return Object.hasOwn(colors, word) ? colors[word] : undefined;
}

const colors: Readonly<Record<string, Color>> = {
  active: "green",
  ready: "green",
  pending: "yellow",
  ending: "yellow",
  attention: "red",
  expired: "red",
  failed: "red",
  "not ready": "red",
  "ready, needs attention": "red",
  revoked: "dim",
  removed: "dim",
};
