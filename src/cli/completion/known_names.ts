import { namePath } from "../../model/connections/connection_name.js";
import { delay } from "../../runtime/clock.js";
import { allProviders, listTemplates } from "../providers/provider_key.js";
import { type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { formatStatus } from "../shell/text.js";
import type { Candidate, Completion } from "./candidates.js";

type Known = Extract<Completion, { readonly leaf: unknown }>;

/** A person waits for it at each Tab. */
const timeoutMs = 1_000;
/** Whoever has more types more. */
const maxConnections = 200;

/** The names that the daemon knows; none when it cannot be asked. Nothing is written to the shell's outputs. */
export async function knownNames(shell: Shell, { kind, leaf, given }: Known): Promise<readonly Candidate[]> {
  const quiet = { ...shell, stderr: { ...shell.stderr, write: () => {} } };
  let names: readonly Candidate[] = [];
  const asked = withDaemon(quiet, flagsOf(leaf, given), async (session) => {
    names = await readers[kind](session);
  }).catch(() => {});
  await Promise.race([asked, delay(shell.clock, timeoutMs)]);
  return names;
}

const readers: Readonly<Record<Known["kind"], (session: DaemonSession) => Promise<Candidate[]>>> = {
  providers: async (session) =>
    (await allProviders(session)).map(({ name, description }) => ({ word: name, description })),
  templates: async (session) =>
    (await listTemplates(session, "")).map(({ name, displayName }) => ({
      word: name,
      description: displayName,
    })),
  connections: async ({ daemon, call }) => {
    const { connections } = await call("list the connections", daemon.connections.listConnections, {
      pageSize: maxConnections,
    });
    return connections.map((connection) => ({
      word: namePath(connection),
      description: formatStatus(connection.status),
    }));
  },
};

/** Where the daemon is, as far as it was said. */
function flagsOf(leaf: Known["leaf"], given: readonly string[]): DaemonFlags {
  try {
    leaf.parseOptions([...given]);
    return leaf.opts();
  } catch {
    return {};
  }
}
