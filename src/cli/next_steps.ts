import { ConnectionStatus } from "../gen/nexus/v1/connection_pb.js";
import { namePath } from "../model/connections/connection_name.js";
import { counted } from "../model/quantity_text.js";
import { CommandFailure } from "./shell/command_failure.js";
import { type DaemonSession, withDaemon } from "./shell/daemon_command.js";
import type { Shell } from "./shell/shell.js";
import { shellWord } from "./shell/text.js";

/** What `nexusd` alone prints: how this machine is, and which command comes next. */
export async function nextSteps(shell: Shell): Promise<void> {
  const { program } = shell;
  let step = `No daemon is running here.\nStart one in another terminal: ${program} serve`;
  try {
    await withDaemon(shell, {}, async (session) => {
      step = await nextStep(session, program);
    });
  } catch (error) {
    if (!(error instanceof CommandFailure && /serve` running\?/.test(error.message))) throw error;
  }
  shell.stdout.write(`${step}\nAll commands: ${program} --help\n`);
}

async function nextStep({ daemon, call }: DaemonSession, program: string): Promise<string> {
  const connections = async (status: ConnectionStatus) => {
    const request = { pageSize: 100, status };
    const page = await call("list the connections", daemon.connections.listConnections, request);
    const more = page.nextPageToken === "" ? "" : " and more";
    return { first: page.connections[0], count: `${counted(page.connections.length, "connection")}${more}` };
  };
  const attention = await connections(ConnectionStatus.ATTENTION);
  if (attention.first) {
    return `Users must act for ${attention.count}.\nSee which: ${program} connections --status attention`;
  }
  const active = await connections(ConnectionStatus.ACTIVE);
  if (active.first) {
    const word = shellWord(namePath(active.first));
    return `All is well: ${active.count} active.\nRead a token: ${program} token ${word}`;
  }
  const { providers } = await call("list the providers", daemon.providers.listProviders, { pageSize: 1 });
  return providers[0]
    ? `The daemon is running and has no connections yet.\nConnect an account: ${program} connect ${providers[0].name}`
    : `The daemon is running and has no providers yet.\nAdd one: ${program} provider add`;
}
