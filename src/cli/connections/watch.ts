import { Command } from "commander";
import { exitCodes } from "../../daemon/exit_codes.js";
import { callFailure } from "../shell/call_failure.js";
import { CommandFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { connectionArgument, findConnection } from "./connection_key.js";
import { readTokenStream } from "./token_stream.js";
import { WatchView, watchJson } from "./watch_view.js";

interface WatchFlags extends DaemonFlags {
  readonly user?: string;
}

/** The daemon's own default. */
const bookmarkIntervalMs = 30_000;
/** A pipe tells only at a write that its reader, as `head`, has gone: with `--json` each bookmark is one. The shortest that the daemon offers. */
const pipedBookmarkIntervalMs = 5_000;

export function watchCommand(shell: Shell): Command {
  const command = new Command("watch")
    .description("follow connections: a line for each change, until it is interrupted; tokens are not shown")
    .argument("[connections...]", `none means all; ${connectionArgument}`)
    .option("--user <id>", "only connections of this user");
  return addDaemonFlags(command).action((texts: string[], flags: WatchFlags) => watch(shell, texts, flags));
}

async function watch(shell: Shell, texts: readonly string[], flags: WatchFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const { daemon } = session;
    const found = await Promise.all(texts.map((text) => findConnection(shell, session, text)));
    const connectionIds = [...new Set(found)];
    const view = new WatchView();
    const gone = new Set<string>();
    let isFirstBookmark = true;
    let isInterrupted = false;
    const stream = readTokenStream({
      tokens: daemon.tokens,
      clock: shell.clock,
      random: shell.random,
      connectionIds,
      userId: flags.user ?? "",
      bookmarkIntervalMs: flags.json && !shell.stdout.isTTY ? pipedBookmarkIntervalMs : bookmarkIntervalMs,
      onInterrupted: (_waitMs, cause) => {
        if (isInterrupted) return;
        isInterrupted = true;
        const what = cause ? "the stream broke off" : "the daemon ended the stream";
        shell.stderr.write(`nexusd: ${what}; connecting again\n`);
      },
    });
    try {
      for await (const message of stream) {
        if (isInterrupted) shell.stderr.write("nexusd: connected again\n");
        isInterrupted = false;
        const lines = view.lines(message, shell.clock.nowMs());
        for (const line of flags.json ? [watchJson(message)] : lines) shell.stdout.write(line);
        if (message.event.case === "removed") gone.add(message.event.value.connectionId);
        if (message.event.case !== "bookmark") continue;
        if (isFirstBookmark && view.size === 0 && connectionIds.length === 0) {
          shell.stderr.write("no connections yet; waiting\n");
        }
        isFirstBookmark = false;
        // An id is never given twice: nothing will be heard of these again.
        if (connectionIds.length > 0 && connectionIds.every((id) => gone.has(id))) {
          throw new CommandFailure(exitCodes.failed, "none of the connections exists any more");
        }
      }
    } catch (error) {
      throw callFailure(error, "watch the connections", daemon.address);
    }
  });
}
