import { CatalogueError } from "../catalogue/catalogue_error.js";
import type { Config } from "../config/config.js";
import { processEnvironment } from "../config/environment.js";
import { readVersion } from "../config/version.js";
import { FleetRefused, FleetUnreachable } from "../ext/fleet/database/connection/fleet_error.js";
import { maxClockOffsetMs } from "../ext/fleet/database/verdict.js";
import { HubEnded } from "../ext/fleet/hub/hub_ended.js";
import { UpstreamRefused } from "../ext/spoke/upstream_refused.js";
import { PolicyError } from "../policy/policy_error.js";
import { CheckedClock } from "../runtime/checked_clock.js";
import { delay, SystemClock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { ListenerError } from "../server/listen/listener.js";
import { NoPeerCredentials } from "../server/sockets/peer_credentials.js";
import { openServiceManager, type ServiceManager } from "../server/sockets/service_manager.js";
import { TlsError } from "../server/tls/tls_pair.js";
import {
  DataFolderInUse,
  DataFolderUnusable,
  LogRefused,
  StoreDamaged,
  StoreFailed,
  StoreHangs,
} from "../store/lmdb/store_error.js";
import { createLogger } from "../telemetry/logger.js";
import { type OpenTracing, openTracing } from "../telemetry/open_tracing.js";
import { KeyError } from "../vault/key_file.js";
import { SecretFileOpen } from "../vault/secret_file.js";
import { Daemon } from "./daemon.js";
import { type ExitCode, endAtOnce, exitCodes } from "./exit_codes.js";
import { type DaemonExtension, StartRefused } from "./extension.js";
import type { DaemonOptions } from "./resources.js";

/** What a hub gets beyond its drain: its database may be away. */
const closingMs = 15_000;

/** Runs a daemon until a signal ends it. */
export async function runDaemon(options: {
  readonly config: Config;
  readonly warnings: readonly string[];
  readonly extensions: readonly DaemonExtension[];
}): Promise<ExitCode> {
  const { config, extensions } = options;
  let tracing: OpenTracing | undefined;
  const log = createLogger({
    level: config.logLevel,
    format: config.logFormat,
    isTTY: process.stdout.isTTY === true,
    ...(config.tracing && { context: () => tracing?.logFields() ?? {} }),
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
    const clocks = clocksOf(config);
    tracing = await openTracing(config.tracing, { version: readVersion(), clock: clocks.clock, log });
    const { random } = Math;
    const given = { config, log, ...clocks, tracing: tracing.tracing, random };
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
  const manager = await openServiceManager(processEnvironment(), { clock: new SystemClock(), log });
  manager.ready();
  const lateMs = config.fleet && config.drainTimeoutMs + closingMs;
  const code = await untilEnded(daemon, { signalled, steppedDown, storeFailed, lateMs, manager, log });
  await tracing.close();
  return code;
}

function clocksOf({ fleet }: Config): Pick<DaemonOptions, "clock" | "linkClock" | "checkedClock"> {
  const machine = new SystemClock();
  if (fleet === undefined) return { clock: machine };
  const checkedClock = new CheckedClock(machine, maxClockOffsetMs);
  return { clock: checkedClock, linkClock: machine, checkedClock };
}

/** Serves until a signal or the store ends it, and stops. */
async function untilEnded(
  daemon: Daemon,
  {
    signalled,
    steppedDown,
    storeFailed,
    lateMs,
    manager,
    log,
  }: {
    readonly signalled: Promise<void>;
    /** Of a hub: another one is to lead. */
    readonly steppedDown: Promise<void>;
    readonly storeFailed: Promise<unknown>;
    /** Of a hub: how long it may take to stop. */
    readonly lateMs: number | undefined;
    readonly manager: ServiceManager;
    readonly log: Log;
  },
): Promise<ExitCode> {
  const abandoned = storeFailed.then((error) => {
    if (isTermOver(error)) {
      log.error(
        { err: error },
        "this hub leads no more, or cannot follow: it ends, to begin anew as a follower",
      );
      return exitCodes.followsAgain;
    }
    log.error({ err: error }, "the store cannot be written; nothing that is not on disk was announced");
    return exitCodes.storeNotWritten;
  });
  const asked = Promise.race([
    signalled.then(() => exitCodes.ok),
    steppedDown.then(() => exitCodes.followsAgain),
  ]).then((code) => ({ code, isOrderly: true }));
  const cut = abandoned.then((code) => ({ code, isOrderly: false }));
  let end: { readonly code: ExitCode; readonly isOrderly: boolean } = await Promise.race([asked, cut]);
  manager.stopping();
  if (end.isOrderly) {
    const { code } = end;
    const stopped = daemon.stop().then(() => ({ code, isOrderly: true }));
    end = await Promise.race([stopped, cut, ...(lateMs === undefined ? [] : [lateAfter(lateMs, code, log)])]);
  }
  if (!end.isOrderly && !(await daemon.abandon(end.code === exitCodes.storeNotWritten))) {
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

/** Of a fleet: another hub leads, the log is another one than the copy knows, or it could not be reached until this hub had to end. */
function isTermOver(error: unknown): boolean {
  if (error instanceof HubEnded) return true;
  if (!(error instanceof StoreFailed)) return false;
  return error.cause instanceof LogRefused || error.cause instanceof FleetUnreachable;
}

function startFailure(error: unknown): ExitCode | undefined {
  const usage = [CatalogueError, PolicyError, StartRefused, SecretFileOpen, DataFolderUnusable];
  if (usage.some((kind) => error instanceof kind)) return exitCodes.usage;
  if ([FleetRefused, FleetUnreachable, UpstreamRefused].some((kind) => error instanceof kind))
    return exitCodes.fleetNotUsable;
  if (error instanceof DataFolderInUse) return exitCodes.dataFolderInUse;
  if (error instanceof KeyError) return exitCodes.wrongEncryptionKey;
  if (error instanceof StoreDamaged) return exitCodes.storeDamaged;
  if (error instanceof StoreFailed) return exitCodes.storeNotWritten;
  if (error instanceof ListenerError || error instanceof TlsError || error instanceof NoPeerCredentials)
    return exitCodes.listenerNotOpened;
  return undefined;
}
