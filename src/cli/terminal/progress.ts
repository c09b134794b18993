import type { Clock } from "../../runtime/clock.js";
import { cut } from "./table.js";

/** What a shell has of its terminal. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly stderr: {
    readonly isTTY: boolean;
    readonly columns?: number | undefined;
    write(text: string): void;
  };
}

/** After so long a person wonders what goes on; a line that changes oftener would flicker. */
const tickMs = 1_000;
const erase = "\r\x1b[2K";
let isShowing = false;

/**
 * Does `work`. At a terminal a line on standard error says after a second what goes on and for how long; it goes when the work is done.
 * What is done within it has no line of its own.
 *
 * @param doing what is tried, as it stands at that moment: `make a backup, 12 MiB`
 */
export async function withProgress<Result>(
  { stderr, clock, env }: Terminal,
  doing: () => string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (isShowing || !stderr.isTTY || env["TERM"] === "dumb") return await work();
  isShowing = true;
  const startMs = clock.monotonicMs();
  let line = "";
  const tick = (): void => {
    const seconds = Math.round((clock.monotonicMs() - startMs) / 1_000);
    line = `${erase}${cut(`${doing()} (${seconds}s)`, (stderr.columns ?? 80) - 1)}`;
    stderr.write(line);
    timer = clock.setTimer(tickMs, tick);
  };
  let timer = clock.setTimer(tickMs, tick);
  try {
    return await work();
  } finally {
    isShowing = false;
    timer.cancel();
    if (line !== "") stderr.write(erase);
  }
}
