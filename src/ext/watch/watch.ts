import { Command } from "commander";
import {
  addDaemonFlags,
  CommandFailure,
  callFailure,
  connectionArgument,
  type DaemonFlags,
  foundConnection,
  readTokenStream,
  type Shell,
  screenOf,
  withDaemon,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import type { Timer } from "../../runtime/runtime.js";
import { LivePanel, WatchView, watchJson } from "./watch_view.js";

interface WatchFlags extends DaemonFlags {
  readonly user?: string;
}

/** The daemon's own default. */
const bookmarkIntervalMs = 30_000;
/** How often the times of a terminal run down. */
const tickMs = 1_000;
/** Only a write shows that the reader of a pipe, such as `head`, has gone: with `--json` each bookmark is one. The shortest that the daemon offers. */
const pipedBookmarkIntervalMs = 5_000;

export function watchCommand(shell: Shell): Command {
  const command = new Command("watch")
    .description(
      "follow connections until interrupted: one line for each change, and the lifetimes of tokens at a terminal",
    )
    .argument(
      "[connections...]",
      `none means all; ${connectionArgument}; a name also matches future connections`,
    )
    .option("--user <id>", "only connections of this user");
  return addDaemonFlags(command).action((texts: string[], flags: WatchFlags) => watch(shell, texts, flags));
}

async function watch(shell: Shell, texts: readonly string[], flags: WatchFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const { daemon } = session;
    const found = await Promise.all(texts.map((text) => foundConnection(session, text)));
    // A name goes over to the next connection that gets it.
    const names = found.flatMap(({ name }) => name ?? []);
    const connectionIds = [...new Set(found.flatMap(({ id, name }) => (name ? [] : id)))];
    const view = new WatchView();
    const display = displayOf(shell, view, flags);
    const gone = new Set<string>();
    let isFirstBookmark = true;
    let isInterrupted = false;
    const stream = readTokenStream({
      tokens: daemon.tokens,
      clock: shell.clock,
      random: shell.random,
      connectionIds,
      names,
      userId: flags.user ?? "",
      bookmarkIntervalMs: flags.json && !shell.stdout.isTTY ? pipedBookmarkIntervalMs : bookmarkIntervalMs,
      onInterrupted: (_waitMs, cause) => {
        if (isInterrupted) return;
        isInterrupted = true;
        const what = cause ? "the stream broke off" : "the daemon ended the stream";
        display.note(`nexusd: ${what}; connecting again\n`);
      },
    });
    try {
      for await (const message of stream) {
        if (isInterrupted) display.note("nexusd: connected again\n");
        isInterrupted = false;
        const lines = view.lines(message, shell.clock.nowMs());
        display.show(flags.json ? [watchJson(message)] : lines);
        if (message.event.case === "removed") gone.add(message.event.value.connectionId);
        if (message.event.case !== "bookmark") continue;
        if (isFirstBookmark && view.size === 0 && texts.length === 0) {
          display.note("no connections yet; waiting\n");
        }
        isFirstBookmark = false;
        // An id is never given twice: these never return. A name can be.
        if (connectionIds.length > 0 && names.length === 0 && connectionIds.every((id) => gone.has(id))) {
          throw new CommandFailure(exitCodes.failed, "none of the connections exists any more");
        }
      }
    } catch (error) {
      throw callFailure(error, "watch the connections", daemon.address);
    } finally {
      display.end();
    }
  });
}

/** Where a watch is seen. */
interface Display {
  /** Lines of changes, each with its end. */
  show(lines: readonly string[]): void;
  /** What concerns the watch itself. */
  note(line: string): void;
  end(): void;
}

/** At a terminal all connections stand below the changes, and their times run down; without a terminal there are lines alone. */
function displayOf(shell: Shell, view: WatchView, { json }: WatchFlags): Display {
  const { stdout, stderr, clock, env } = shell;
  if (json || !stdout.isTTY) {
    return {
      show: (lines) => {
        for (const line of lines) stdout.write(line);
      },
      note: (line) => stderr.write(line),
      end: () => {},
    };
  }
  const panel = new LivePanel(stdout);
  const draw = (lines: readonly string[]): void => {
    const screen = screenOf(env, stdout);
    panel.draw(lines, view.size === 0 ? [] : view.table(clock.nowMs(), screen));
  };
  const tick = (): Timer =>
    clock.setTimer(tickMs, () => {
      draw([]);
      timer = tick();
    });
  let timer = tick();
  return { show: draw, note: (line) => draw([line]), end: () => timer.cancel() };
}
