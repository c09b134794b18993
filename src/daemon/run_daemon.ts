import { CatalogueError } from "../catalogue/catalogue_error.js";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import type { DaemonClocks } from "../core/daemon_options.js";
import { type ExitCode, endAtOnce, exitCodes } from "../core/exit_codes.js";
import { type Extension, type OpenTracing, type ServiceManager, StartRefused } from "../core/registry.js";
import { delay, SystemClock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { ListenerError } from "../server/listen/listener.js";
import { NoPeerCredentials } from "../server/sockets/peer_credentials.js";
import { TlsError } from "../server/tls/tls_pair.js";
import {
  DataFolderInUse,
  DataFolderUnusable,
  isDamage,
  StoreDamaged,
  StoreFailed,
  StoreHangs,
} from "../store/lmdb/store_error.js";
import { createLogger } from "../telemetry/logger.js";
import { KeyError } from "../vault/key_file.js";
import { SecretFileOpen } from "../vault/secret_file.js";
import { Daemon } from "./daemon.js";

export interface RunOptions {
  readonly config: Config;
  readonly warnings: readonly string[];
  readonly extensions: readonly Extension[];
  /** Called when every listener is open. */
  onReady(): void;
}

/** Runs a daemon until a signal ends it. */
export async function runDaemon(options: RunOptions): Promise<ExitCode> {
  const { config, extensions } = options;
  const environment = processEnvironment();
  const traced = extensions.find((each) => each.openTracing && each.settings?.of(config) !== undefined);
  let tracing: OpenTracing | undefined;
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat,
    isTTY: process.stdout.isTTY === true,
    columns: process.stdout.columns,
    ...(traced && { context: () => tracing?.logFields() ?? {} }),
  });
  for (const warning of options.warnings) log.warn({ warning }, "check the settings");
  // Before the first listener opens: a daemon that can be seen can be ended. Not `once`: npm sends the Ctrl-C of a terminal again.
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve());
  });
  // Without a file to read again SIGHUP ends the process, as it does by default.
  let onHangup = (): void => {};
  if (config.providersFile !== undefined || config.access.policyFile !== undefined)
    process.on("SIGHUP", () => onHangup());
  let failed!: (error: unknown) => void;
  const storeFailed = new Promise<unknown>((resolve) => {
    failed = resolve;
  });
  let stepDown = (): void => {};
  const steppedDown = new Promise<void>((resolve) => {
    stepDown = resolve;
  });
  let daemon: Daemon;
  try {
    const clocks = await clocksOf(config, extensions);
    tracing = await traced?.openTracing?.(config, { environment, clock: clocks.clock, log });
    const { random } = Math;
    const traces = tracing && { tracing: tracing.tracing, tracedOutbound: tracing.tracedOutbound };
    const given = { config, log, ...clocks, ...traces, random };
    daemon = await Daemon.start({ ...given, onFatal: failed, onStepDown: stepDown }, extensions);
  } catch (error) {
    const known = startFailure(error);
    log.error(
      known === undefined ? { err: error } : { reason: (error as Error).message },
      "nexusd cannot start",
    );
    if (error instanceof StoreHangs) endAtOnce(exitCodes.storeNotWritten);
    return known ?? exitCodes.failed;
  }
  onHangup = () => void daemon.reloadFiles();
  const parts = { clock: new SystemClock(), log };
  const managers = await Promise.all(extensions.map((each) => each.openServiceManager?.(environment, parts)));
  const manager = managers.find((each) => each !== undefined);
  manager?.ready();
  options.onReady();
  const code = await untilEnded(daemon, { signalled, steppedDown, storeFailed, manager, log });
  await tracing?.close();
  return code;
}

async function clocksOf(config: Config, extensions: readonly Extension[]): Promise<DaemonClocks> {
  const found = await Promise.all(extensions.map((extension) => extension.clocks?.(config)));
  return found.find((clocks) => clocks !== undefined) ?? { clock: new SystemClock() };
}

/** Serves until a signal or the store ends it, and stops. */
async function untilEnded(
  daemon: Daemon,
  {
    signalled,
    steppedDown,
    storeFailed,
    manager,
    log,
  }: {
    readonly signalled: Promise<void>;
    /** Of a hub: another one is to lead. */
    readonly steppedDown: Promise<void>;
    readonly storeFailed: Promise<unknown>;
    readonly manager: ServiceManager | undefined;
    readonly log: Log;
  },
): Promise<ExitCode> {
  const abandoned = storeFailed.then((error) => {
    if (daemon.isTermOver(error)) {
      log.error(
        { err: error },
        "this hub lost the lead, or cannot follow: it ends, and is a follower after a restart",
      );
      return exitCodes.followsAgain;
    }
    if (error instanceof StoreFailed && isDamage(error.cause)) {
      log.error(
        { err: error },
        "the store is damaged: restore it from a backup with nexusd restore FILE --force",
      );
      return exitCodes.storeDamaged;
    }
    log.error({ err: error }, "the store cannot be written; nothing that is not on disk was announced");
    return exitCodes.storeNotWritten;
  });
  const orderly = Promise.race([
    signalled.then(() => exitCodes.ok),
    steppedDown.then(() => exitCodes.followsAgain),
  ]).then((code) => ({ code, isOrderly: true }));
  const cut = abandoned.then((code) => ({ code, isOrderly: false }));
  let end: { readonly code: ExitCode; readonly isOrderly: boolean } = await Promise.race([orderly, cut]);
  manager?.stopping();
  if (end.isOrderly) {
    const { code } = end;
    const lateMs = daemon.stopMs;
    const stopped = daemon.stop().then(() => ({ code, isOrderly: true }));
    end = await Promise.race([stopped, cut, ...(lateMs === undefined ? [] : [lateAfter(lateMs, code, log)])]);
  }
  if (!end.isOrderly && !(await daemon.abandon(end.code !== exitCodes.followsAgain))) {
    log.error({}, "the store cannot be left in order: the daemon ends without closing it");
    endAtOnce(end.code);
  }
  return end.code;
}

async function lateAfter(
  ms: number,
  code: ExitCode,
  log: Log,
): Promise<{ readonly code: ExitCode; readonly isOrderly: boolean }> {
  await delay(new SystemClock(), ms);
  log.error({}, "this hub does not come to rest: it ends without");
  return { code, isOrderly: false };
}

/** How a start that failed ends the process; undefined for what no one expects. */
export function startFailure(error: unknown): ExitCode | undefined {
  const usage = [CatalogueError, SecretFileOpen, DataFolderUnusable];
  if (usage.some((kind) => error instanceof kind)) return exitCodes.usage;
  if (error instanceof StartRefused) return error.exitCode;
  if (error instanceof DataFolderInUse) return exitCodes.dataFolderInUse;
  if (error instanceof KeyError) return exitCodes.wrongEncryptionKey;
  if (error instanceof StoreDamaged) return exitCodes.storeDamaged;
  if (error instanceof StoreFailed) return exitCodes.storeNotWritten;
  if (error instanceof ListenerError || error instanceof TlsError || error instanceof NoPeerCredentials)
    return exitCodes.listenerNotOpened;
  return undefined;
}
