import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";

const firstPort = 11_000;
/** Below the ports that the system gives to outgoing connections, where that leaves enough. */
const portCount = Math.min(20_000, Math.max(2_000, firstOutgoingPort() - firstPort));
/** By chance: processes of near ids would meet again and again, and a daemon that outlives its test holds no claim. */
let nextPort = Math.floor(Math.random() * portCount);

/** A port that nobody listens on, for a setting that must name one. No other process gets it from here while this one lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = firstPort + (nextPort++ % portCount);
    if (!(await isClaimed(port))) continue;
    const free = await listening((server) => server.listen(port, "127.0.0.1"));
    if (free !== undefined) return await new Promise((resolve) => free.close(() => resolve(port)));
  }
}

function firstOutgoingPort(): number {
  try {
    return Number.parseInt(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8"), 10);
  } catch {
    return 32_768;
  }
}

/** By an abstract socket, which ends with the process; where there are none, ports are apart by chance. */
async function isClaimed(port: number): Promise<boolean> {
  if (process.platform !== "linux") return true;
  const claim = await listening((server) => server.listen(`\0nexus-test-port-${port}`));
  claim?.unref();
  return claim !== undefined;
}

/** Undefined where the address is in use. */
function listening(listen: (server: Server) => void): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.once("listening", () => resolve(server));
    listen(server);
  });
}
