import { setTimeout as sleep } from "node:timers/promises";
import { startOpenIdProvider } from "../../test/fakes/openid_provider.js";
import { type Arguments, help, readArguments } from "./arguments.js";
import { DaemonProcess } from "./daemon_process.js";
import { DemoFailure, Interrupted } from "./failure.js";
import { jsonNarrator, type Narrator, plainNarrator } from "./narrator.js";
import { Sightings } from "./sightings.js";
import { play } from "./story.js";

const accessTokenTtlSeconds = 20;
const maxAutoSeconds = 120;
/** A person may take as long as the link lives: ten minutes. */
const maxPersonSeconds = 600 + maxAutoSeconds;

async function main(words: readonly string[]): Promise<number> {
  let given: Arguments;
  try {
    given = readArguments(words);
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}\n\n${help}`);
    return 2;
  }
  if (given.help) {
    process.stdout.write(help);
    return 0;
  }

  const ending = new AbortController();
  const interrupt = () => ending.abort(new Interrupted("interrupted"));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  // The reader has had enough: `npm run demo | head`.
  process.stdout.on("error", interrupt);
  const maxSeconds = given.auto ? maxAutoSeconds : maxPersonSeconds;
  const deadline = setTimeout(
    () => ending.abort(new DemoFailure(`it is not over after ${maxSeconds} s`)),
    maxSeconds * 1000,
  );
  const exitCode = await run(given, ending);
  clearTimeout(deadline);
  return exitCode;
}

/** @param ending ends everything that is under way; its reason says why */
async function run({ auto, json, verbose }: Arguments, ending: AbortController): Promise<number> {
  const print = (text: string) => void process.stdout.write(text);
  const narrator = json ? jsonNarrator(print) : plainNarrator(print, process.stdout.isTTY);
  const sightings = new Sightings();
  const startedMs = Date.now();
  let daemon: DaemonProcess | undefined;
  try {
    daemon = await DaemonProcess.start((line) => {
      if (verbose) process.stderr.write(`${line}\n`);
    });
    const over = new Promise<never>((_, reject) => {
      ending.signal.addEventListener("abort", () => reject(ending.signal.reason), { once: true });
    });
    await Promise.race([perform(daemon, { narrator, sightings, auto, signal: ending.signal }), over]);
  } catch (error) {
    const cause = await findCause(error, daemon, ending.signal);
    const reason = cause instanceof Error ? cause.message : String(cause);
    narrator.tell(
      { step: "failed", reason, missing: sightings.missing ?? null },
      { headline: `The demo ends here: ${reason}` },
    );
    if (cause instanceof Interrupted) return 130;
    const missing = sightings.missing === undefined ? "" : `; not seen: ${sightings.missing}`;
    const log = verbose || !daemon ? [] : ["The end of the daemon's log:", ...daemon.log];
    process.stderr.write(`demo: ${reason}${missing}\n${log.map((line) => `  ${line}\n`).join("")}`);
    return 1;
  } finally {
    ending.abort();
    await daemon?.remove();
  }
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  narrator.tell(
    { step: "done", revisions: sightings.revisions, attention: sightings.attention, seconds },
    {
      headline: `Done, in ${seconds} s`,
      why: ["The daemon ended in good order and its temporary folder is gone. Next: the tour in README.md."],
    },
  );
  return 0;
}

interface Performance {
  readonly narrator: Narrator;
  readonly sightings: Sightings;
  readonly auto: boolean;
  readonly signal: AbortSignal;
}

/** Sets the stage, has the story played on it, and sees the daemon off. */
async function perform(daemon: DaemonProcess, performance: Performance): Promise<void> {
  const { narrator, sightings, signal } = performance;
  await daemon.ready(signal);
  const folder = `--data-dir ${daemon.dataDir}`;
  narrator.tell(
    { step: "daemon_started", data_dir: daemon.dataDir, public_url: daemon.publicUrl },
    {
      headline: "Started nexusd, the daemon that stands beside an agent",
      why: [
        `It lives in a temporary folder. Look in from another terminal with any command and this flag:`,
        folder,
      ],
      byHand: "nexusd serve",
    },
  );
  const provider = await startOpenIdProvider({ redirectUris: [daemon.redirectUri], accessTokenTtlSeconds });
  try {
    narrator.tell(
      { step: "provider_started", issuer: provider.issuer, access_token_ttl_seconds: accessTokenTtlSeconds },
      {
        headline: "Started a certified OpenID provider, in place of Google and the like",
        why: [
          `Its tokens live ${accessTokenTtlSeconds} s, so you need not wait an hour. A refresh token works once:`,
          "whoever uses one twice loses the whole consent.",
        ],
      },
    );
    await play({ ...performance, daemon, provider });
    if (sightings.missing !== undefined) throw new DemoFailure("the stream ended too early");
    const how = await daemon.ended();
    if (how !== "exit code 0") throw new DemoFailure(`the daemon did not end in good order: ${how}`);
  } finally {
    await provider.stop();
  }
}

/** A call that breaks off is often but the echo of something else. */
async function findCause(
  error: unknown,
  daemon: DaemonProcess | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  if (signal.aborted) return signal.reason;
  if (error instanceof DemoFailure) return error;
  const death = await Promise.race([daemon?.died(), sleep(1000)]);
  return death === undefined ? error : new DemoFailure(`the daemon died: ${death}`);
}

process.exitCode = await main(process.argv.slice(2));
