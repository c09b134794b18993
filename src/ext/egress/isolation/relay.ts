import { closeSync, readdirSync, readFileSync } from "node:fs";
import { connect, createServer, Socket } from "node:net";
import { joined } from "../proxy/pump.js";

/** The port of the proxy in there, where no other listens. */
export const isolatedPort = 3_128;
/** By which signals come from outside, a name in each line. */
const signalsDescriptor = 3;
/** A terminal sends these to all processes of its foreground. */
const ofTerminal: readonly string[] = ["SIGINT", "SIGQUIT", "SIGWINCH"];

/** In there: listens as the proxy, and passes each connection to the socket of the real one. */
export async function relayTo(socket: string): Promise<{ close(): void }> {
  closeInherited();
  followSignals();
  const server = createServer((near) => joined(near, connect(socket)));
  await new Promise<void>((resolve) => server.listen(isolatedPort, "127.0.0.1", resolve));
  return { close: () => server.close() };
}

/** What whoever started nexusd had open is not the program's. Node has marked all descriptors of its own, and those below 16. */
function closeInherited(): void {
  for (const name of readdirSync("/proc/self/fdinfo")) {
    const flags = flagsOf(name);
    if (Number(name) > 2 && flags !== undefined && (flags & closesOnExec) === 0) closeSync(Number(name));
  }
}

const closesOnExec = 0o2_000_000;

/** @returns undefined for a descriptor that is closed by now */
function flagsOf(descriptor: string): number | undefined {
  try {
    const [, flags = "0"] =
      /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8")) ?? [];
    return Number.parseInt(flags, 8);
  } catch {
    return undefined;
  }
}

/** The program is in a session of its own, which neither a terminal nor a supervisor reaches. */
function followSignals(): void {
  const control = new Socket({ fd: signalsDescriptor, readable: true, writable: false });
  control.on("error", () => control.destroy()).unref();
  // Lines of a few bytes, which arrive whole.
  control.on("data", (lines) => {
    for (const signal of String(lines).trim().split("\n")) follow(signal as NodeJS.Signals);
  });
}

function follow(signal: NodeJS.Signals): void {
  // All but this process: the way out must not stop before the program has.
  if (signal === "SIGTSTP" || signal === "SIGCONT") kill(-1, signal === "SIGCONT" ? "SIGCONT" : "SIGSTOP");
  else kill(process.stdin.isTTY && ofTerminal.includes(signal) ? 0 : process.pid, signal);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Nothing is left to be signalled.
  }
}
