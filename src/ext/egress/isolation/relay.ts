import { once } from "node:events";
import { closeSync, readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer, type Server, Socket } from "node:net";
import { dirname, join } from "node:path";
import type { Origin } from "../proxy/dial.js";
import { joined } from "../proxy/tunnel.js";
import { placesFile, type RelayedPlace } from "./relayed_places.js";

/** The port of the proxy in there, where no other listens. */
export const isolatedPort = 3_128;
/** By which signals come from outside, a name in each line. */
const signalsDescriptor = 3;
/** A terminal sends these to all processes of its foreground. */
const ofTerminal: readonly string[] = ["SIGINT", "SIGQUIT", "SIGWINCH"];

/**
 * In there: listens as the proxy, and where the names of APIs lead, and passes each connection to the socket of the real proxy.
 *
 * @param tell about a port that cannot be opened: programs that know the proxy do not need it
 */
export async function relayTo(socket: string, tell: (sentence: string) => void): Promise<{ close(): void }> {
  closeInherited();
  followSignals();
  const places = JSON.parse(readFileSync(join(dirname(socket), placesFile), "utf8")) as RelayedPlace[];
  const servers = [await listening(isolatedPort, "127.0.0.1", (near) => joined(near, connect(socket)))];
  for (const { address, ...origin } of places)
    try {
      servers.push(await listening(origin.port, address, (near) => tunnel(near, connect(socket), origin)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      tell(`${origin.host}:${origin.port} is reached only by programs that use HTTPS_PROXY (${code})`);
    }
  return { close: () => servers.forEach((server) => void server.close()) };
}

async function listening(port: number, address: string, serve: (near: Socket) => void): Promise<Server> {
  const server = createServer(serve).listen(port, address);
  await once(server, "listening");
  return server;
}

/** For a program that believes to be connected to the API: what it sends comes through the proxy. */
function tunnel(near: Socket, proxy: Socket, { host, port }: Origin): void {
  const sent = request({ createConnection: () => proxy, method: "CONNECT", path: `${host}:${port}` });
  near.on("error", () => sent.destroy()).once("close", () => sent.destroy());
  sent
    .on("error", () => near.destroy())
    .on("connect", ({ statusCode }, there, head) => {
      // The refusal itself is no TLS; `nexusd run` says it on the terminal.
      if (statusCode !== 200) return void near.destroy();
      if (head.length > 0) there.unshift(head);
      joined(near, there as Socket);
    });
  sent.end();
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
