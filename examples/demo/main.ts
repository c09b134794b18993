import { setTimeout as sleep } from "node:timers/promises";
import { startOpenIdProvider } from "../../test/fakes/openid_provider.js";
import { type Arguments, help, readArguments } from "./arguments.js";
import { DaemonProcess } from "./daemon_process.js";
import { DemoFailure, Interrupted } from "./failure.js";
import { runFleet } from "./fleet/fleet_run.js";
import { jsonNarrator, type Narrator, plainNarrator } from "./narrator.js";
import * as scenes from "./scenes.js";
import { Sightings } from "./sightings.js";
import { staticDone } from "./static_scenes.js";
import { playStatic } from "./static_story.js";
import { play } from "./story.js";

const accessTokenTtlSeconds = 20;
const maxAutoSeconds = 120;
const maxFleetSeconds = 300;
/** A person may take as long as the link lives: ten minutes. */
const maxPersonSeconds = 600;

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
  const maxSeconds = (given.fleet ? maxFleetSeconds : maxAutoSeconds) + (given.auto ? 0 : maxPersonSeconds);
  const deadline = setTimeout(
    () => ending.abort(new DemoFailure(`it is not over after ${maxSeconds} s`)),
    maxSeconds * 1000,
  );
  const exitCode = await (given.fleet ? runFleet(given, ending) : run(given, ending));
  clearTimeout(deadline);
  return exitCode;
}

/** @param ending ends everything that is under way; its reason says why */
async function run(
  { static: isStatic, auto, json, verbose }: Arguments,
  ending: AbortController,
): Promise<number> {
  const print = (text: string) => void process.stdout.write(text);
  const tell = json ? jsonNarrator(print) : plainNarrator(print, process.stdout.isTTY);
  const sightings = new Sightings();
  const startedMs = Date.now();
  let daemon: DaemonProcess | undefined;
  let staticRevisions = 0;
  try {
    daemon = await DaemonProcess.start((line) => {
      if (verbose) process.stderr.write(`${line}\n`);
    });
    const over = new Promise<never>((_, reject) => {
      ending.signal.addEventListener("abort", () => reject(ending.signal.reason), { once: true });
    });
    const performance = { tell, sightings, auto, signal: ending.signal };
    if (isStatic) staticRevisions = await Promise.race([performStatic(daemon, performance), over]);
    else await Promise.race([perform(daemon, performance), over]);
  } catch (error) {
    const cause = await findCause(error, daemon, ending.signal);
    const reason = cause instanceof Error ? cause.message : String(cause);
    tell(scenes.failed(reason, isStatic ? undefined : sightings.missing));
    if (cause instanceof Interrupted) return 130;
    if (daemon && !verbose) process.stderr.write(`The end of the daemon's log:\n${daemon.log.join("\n")}\n`);
    return 1;
  } finally {
    ending.abort();
    await daemon?.remove();
  }
  const seconds = Math.round((Date.now() - startedMs) / 1000);
  if (isStatic) tell(staticDone(staticRevisions, seconds));
  else tell(scenes.done(sightings.revisions, sightings.attention, seconds));
  return 0;
}

interface Performance {
  readonly tell: Narrator;
  readonly sightings: Sightings;
  readonly auto: boolean;
  readonly signal: AbortSignal;
}

/** Sets the stage, has the story played on it, and sees the daemon off. */
async function perform(daemon: DaemonProcess, performance: Performance): Promise<void> {
  const { tell, sightings, signal } = performance;
  await daemon.ready(signal);
  tell(scenes.daemonStarted(daemon.dataDir, daemon.publicUrl));
  const provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds });
  try {
    tell(scenes.providerStarted(provider.issuer, accessTokenTtlSeconds));
    await play({ ...performance, daemon, provider });
    if (sightings.missing !== undefined) throw new Error("the stream ended too early");
    const how = await daemon.ended();
    if (how !== "exit code 0") throw new DemoFailure(`the daemon did not end in good order: ${how}`);
  } finally {
    await provider.stop();
  }
}

/** @returns how many revisions were seen */
async function performStatic(daemon: DaemonProcess, performance: Performance): Promise<number> {
  const { tell, signal } = performance;
  await daemon.ready(signal);
  tell(scenes.daemonStarted(daemon.dataDir, daemon.publicUrl));
  const revisions = await playStatic({ ...performance, daemon });
  daemon.terminate();
  const how = await daemon.ended();
  if (how !== "exit code 0") throw new DemoFailure(`the daemon did not end in good order: ${how}`);
  return revisions;
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
