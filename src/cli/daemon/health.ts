import type { RequestOptions } from "node:http";
import { Command } from "commander";
import { loadOpsListener, type OpsListenerConfig } from "../../config/client_config.js";
import { ConfigError } from "../../config/setting_reader.js";
import { exitCodes } from "../../core/exit_codes.js";
import { formatListenAddress, type ListenAddress } from "../../model/listen_address.js";
import { CommandFailure } from "../shell/command_failure.js";
import { ask } from "../shell/listener_probe.js";
import type { Shell } from "../shell/shell.js";

interface HealthFlags {
  readonly json?: boolean;
  readonly opsListen?: string;
  readonly portBase?: string;
}

/** Shorter than the limit of the container's health check. */
const timeoutMs = 2_500;

/** A container engine knows 0 and 1 and reserves the rest, so every error ends with 1. */
export function healthCommand(shell: Shell): Command {
  return new Command("health")
    .option("--json", "print JSON")
    .option("--ops-listen <addresses>", "address of the ops listener (NEXUS_OPS_LISTEN)")
    .option("--port-base <port>", "that of the daemon (NEXUS_PORT_BASE)")
    .action(async (flags: HealthFlags) => {
      const { address, isTls } = opsAddress(shell, flags);
      const target = { ...targetOf(address), path: "/readyz" };
      // The certificate is for the names that clients use, not for the address of a probe.
      const head = await ask(target, { isTls, timeoutMs, clock: shell.clock });
      const status = typeof head === "string" ? head : (head.statusCode ?? 0);
      const isReady = status === 200;
      if (flags.json) shell.stdout.write(`${JSON.stringify({ ready: isReady, answer: status })}\n`);
      else if (isReady) shell.stdout.write("ready\n");
      if (isReady) return;
      const answer =
        typeof status === "number"
          ? `returns ${status} for /readyz`
          : `does not answer (${status}): is \`nexusd serve\` running?`;
      throw new CommandFailure(
        exitCodes.failed,
        flags.json ? "" : `not ready: ${formatListenAddress(address)} ${answer}`,
      );
    });
}

function opsAddress(shell: Shell, flags: HealthFlags): { address: ListenAddress; isTls: boolean } {
  const overrides = {
    ...(flags.opsListen === undefined ? {} : { NEXUS_OPS_LISTEN: flags.opsListen }),
    ...(flags.portBase === undefined ? {} : { NEXUS_PORT_BASE: flags.portBase }),
  };
  let listener: OpsListenerConfig;
  try {
    listener = loadOpsListener(shell.env, overrides, shell.extensions);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CommandFailure(exitCodes.failed, error.message);
  }
  const [address] = listener.addresses;
  if (!address)
    throw new CommandFailure(exitCodes.failed, "NEXUS_OPS_LISTEN is off: there is no listener to ask");
  return { address, isTls: listener.isTls && address.kind === "tcp" };
}

/** A listener that listens on every address is asked on loopback. */
function targetOf(address: ListenAddress): RequestOptions {
  if (address.kind === "unix") return { socketPath: address.path };
  const loopbackOf: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  return { host: loopbackOf[address.host] ?? address.host, port: address.port };
}
