import { execFile } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname } from "node:path";
import { CommandFailure } from "../../cli/shell/command_failure.js";
import { exitCodes } from "../../daemon/exit_codes.js";
import { joined } from "./proxy/pump.js";

export interface Isolation {
  /** The folder of the session: certificates and the proxy's socket. */
  readonly session: string;
  readonly socket: string;
  /** Empty in there, whatever lies above them. */
  readonly hidden: readonly string[];
  readonly home: string;
  /** The folder that the program works in. */
  readonly work: string;
  readonly share: readonly string[];
}

/** The port of the proxy in there, where no other listens. */
export const isolatedPort = 3_128;

/** Of the system: programs and their libraries, and no state of a person. */
const system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix/store"];

/**
 * The command that runs `argv` in network, mount and process namespaces of its own: its only way out is the proxy's socket.
 *
 * @throws CommandFailure where bubblewrap or user namespaces are missing
 */
export async function isolated(argv: readonly string[], isolation: Isolation): Promise<string[]> {
  await probe();
  const { session, socket, hidden, home, work, share } = isolation;
  const relay = ["run", "--relay", socket, "--", ...argv];
  // An installation may be reached by links, as those of `npm link`: they lead nowhere in there.
  const [node, main] = [realpathSync(process.execPath), realpathSync(process.argv[1] ?? "")];
  const own = [dirname(node), dirname(dirname(main))];
  const self = [node, ...process.execArgv, main];
  return [
    "bwrap",
    ...["--unshare-all", "--die-with-parent", "--hostname", "isolated"],
    ...system.flatMap((path) => ["--ro-bind-try", path, path]),
    ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", home],
    ...own.flatMap((path) => ["--ro-bind-try", path, path]),
    ...["--ro-bind", session, session, "--bind", work, work],
    ...share.flatMap((path) => ["--bind", path, path]),
    ...hidden.filter(existsSync).flatMap((path) => ["--tmpfs", path]),
    ...["--chdir", work, "--"],
    ...self,
    ...relay,
  ];
}

/** Never unisolated by itself. */
async function probe(): Promise<void> {
  const error = await new Promise<(Error & { code?: unknown; stderr?: string }) | null>((resolve) => {
    execFile("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"], (failure, _, stderr) =>
      resolve(failure && Object.assign(failure, { stderr })),
    );
  });
  if (error === null) return;
  const advice =
    error.code === "ENOENT"
      ? "install bubblewrap (Debian, Ubuntu: apt install bubblewrap)"
      : `this machine lets no user make namespaces (${(error.stderr ?? "").trim()}): sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu an AppArmor profile for bwrap`;
  throw new CommandFailure(
    exitCodes.failed,
    `--isolate cannot be kept, and the program was not started: ${advice}`,
  );
}

/** In there: listens as the proxy, and passes each connection to the socket of the real one. */
export async function relayTo(socket: string): Promise<{ close(): void }> {
  const server = createServer((near) => joined(near, connect(socket)));
  await new Promise<void>((resolve) => server.listen(isolatedPort, "127.0.0.1", resolve));
  return { close: () => server.close() };
}
