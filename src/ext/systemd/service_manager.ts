import type { ServiceManager } from "../../core/registry.js";
import { type Clock, type Log, loadSystemCalls, type Platform, platform } from "../../runtime/runtime.js";

/** Nobody wants to know. */
const silent: ServiceManager = { ready: () => {}, stopping: () => {} };

/** Sends one datagram. @throws Error */
export type SendDatagram = (address: Uint8Array, text: string) => void;

/** `sun_path` of `struct sockaddr_un`, unix(7). */
const maxPathBytes = 108;

/**
 * systemd with `Type=notify` (sd_notify(3)), as the environment says: `NOTIFY_SOCKET`, and for a watchdog `WATCHDOG_USEC` and `WATCHDOG_PID` (sd_watchdog_enabled(3)). What cannot be
 * sent is logged: a manager that waits for it ends the daemon in its own time.
 */
export async function openServiceManager(
  env: NodeJS.ProcessEnv,
  { clock, log, load = () => loadSendto() }: { clock: Clock; log: Log; load?: () => Promise<SendDatagram> },
): Promise<ServiceManager> {
  const address = socketAddress(env["NOTIFY_SOCKET"]);
  if (address === undefined) return silent;
  let send: SendDatagram;
  try {
    send = await load();
  } catch (error) {
    log.error(
      { reason: (error as Error).message },
      "the service manager cannot be notified that the daemon is ready",
    );
    return silent;
  }
  const say = (text: string): void => {
    try {
      send(address, text);
    } catch (error) {
      log.warn({ reason: (error as Error).message }, "the service manager could not be notified");
    }
  };
  const intervalMs = watchdogIntervalMs(env, process.pid);
  /** To the end of the process: a drain takes its time. */
  const feed = (everyMs: number): void => {
    say("WATCHDOG=1\n");
    clock.setTimer(everyMs, () => feed(everyMs));
  };
  return {
    ready: () => {
      say("READY=1\nSTATUS=serving\n");
      if (intervalMs !== undefined) feed(intervalMs);
    },
    stopping: () => say("STOPPING=1\nSTATUS=letting refreshes finish\n"),
  };
}

/** Half of what the manager waits for; undefined where no watchdog is requested, or that of another process. */
export function watchdogIntervalMs(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const { WATCHDOG_USEC: usec = "", WATCHDOG_PID: wanted } = env;
  if (!/^[1-9]\d{0,15}$/.test(usec) || (wanted !== undefined && wanted !== `${pid}`)) return undefined;
  return Number(usec) / 2_000;
}

/**
 * `struct sockaddr_un` of an absolute path, or of a name in the abstract namespace, which begins with `@`.
 *
 * @returns undefined for what is neither, as an address of another family
 */
export function socketAddress(text: string | undefined): Uint8Array | undefined {
  const bytes = Buffer.from(text ?? "", "utf8");
  const isAbstract = bytes[0] === 0x40;
  if (!(isAbstract || bytes[0] === 0x2f) || bytes.length < 2 || bytes.length >= maxPathBytes)
    return undefined;
  if (isAbstract) bytes[0] = 0;
  const family = Buffer.from(Uint16Array.of(afUnix).buffer);
  return Buffer.concat([family, bytes, ...(isAbstract ? [] : [Buffer.alloc(1)])]);
}

/** Of the kernel's `socket.h`, the same on every architecture that Node runs on. */
const [afUnix, sockDgram, sockCloexec] = [1, 2, 0o2000000];
const [msgDontwait, msgNosignal] = [0x40, 0x4000];

/** Node has no datagram sockets of this family. The library is loaded where a manager listens alone. */
export async function loadSendto(on: Platform = platform, load = loadSystemCalls): Promise<SendDatagram> {
  if (!on.hasServiceManager) throw new Error(`${on.name} has no service manager of this kind`);
  const calls = await load();
  return (address, text) => {
    const fd = calls.socket(afUnix, sockDgram | sockCloexec, 0);
    if (fd < 0) throw new Error(`socket: errno ${calls.errno()}`);
    const bytes = Buffer.from(text, "utf8");
    const flags = msgDontwait | msgNosignal;
    const sent = calls.sendto(fd, bytes, bytes.length, flags, address, address.length);
    const errno = calls.errno();
    calls.close(fd);
    if (Number(sent) !== bytes.length) throw new Error(`sendto: errno ${errno}`);
  };
}
