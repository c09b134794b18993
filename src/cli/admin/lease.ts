import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import type { ApiKey, UseLimit } from "../../gen/nexus/v1/access_pb.js";
import { useLimitText } from "../../model/access/use_limit.js";
import { formatDuration } from "../../model/quantity_text.js";
import type { Timer } from "../../runtime/clock.js";
import { CommandFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { durationMsOf } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatTime, printable } from "../shell/text.js";

/** Of a renewal that did not reach the daemon. */
const retryMs = 2_000;
const timeoutMs = 5_000;

export const usesHelp = "how often it obtains a credential: 20, or 100/h (s, m, h, or d)";

export const leaseHelp = "revoke it when its holder has not renewed it for this time, such as 10m";

/** When a key ends if nobody renews it. */
export function endOf({ leaseEndsAt, expiresAt }: ApiKey): Timestamp | undefined {
  return leaseEndsAt ?? expiresAt;
}

/** `10m`; empty where there is none. */
export function leaseText(lease: Duration | undefined): string {
  return lease ? formatDuration(durationMsOf(lease)) : "";
}

/** `100/h`; empty where there is none. */
export function usesText(limit: UseLimit | undefined): string {
  return limit ? useLimitText({ uses: limit.uses, perMs: limit.per && durationMsOf(limit.per) }) : "";
}

/** ` until TIME`, ` with a lease of 10m`, ` for at most 100/h uses`, or several; empty for a key that never ends. */
export function lifeText({ lease, expiresAt, uses }: ApiKey): string {
  const until = expiresAt ? ` until ${formatTime(expiresAt)}` : "";
  const leased = lease ? ` with a lease of ${leaseText(lease)}` : "";
  return `${until}${leased}${uses ? ` for at most ${usesText(uses)} uses` : ""}`;
}

export function renewCommand(shell: Shell): Command {
  const command = new Command("renew")
    .description("renew the lease of the API key that you use, once or while a program runs")
    .argument("[command...]", "the program and its arguments, after --");
  return daemonCommand(shell, command, async (session, _flags: DaemonFlags, argv: string[]) => {
    const { daemon, call, show } = session;
    const answer = await call("renew the lease", daemon.access.renewLease, {});
    if (argv.length === 0)
      return show(answer, () => `the lease ends at ${formatTime(answer.endsAt)} unless it is renewed\n`);
    const stop = keepLease(session);
    const code = await shell.runProgram(argv, shell.env).finally(() => void stop());
    if (code !== exitCodes.ok) throw new CommandFailure(code, "");
  });
}

/** Renews the lease of the session's API key, if it has one, until it is stopped. @returns stops it, and resolves after a renewal under way */
export function keepLease({ daemon, shell }: DaemonSession): () => Promise<void> {
  let timer: Timer | undefined;
  let isStopped = false;
  const renew = async (): Promise<void> => {
    let waitMs = retryMs;
    try {
      const { lease } = await daemon.access.renewLease({}, { timeoutMs });
      waitMs = durationMsOf(lease) / 3;
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (code === Code.Unauthenticated && !isStopped)
        shell.stderr.write(`nexusd: ${printable(rawMessage)}\n`);
      if (final.includes(code)) return;
    }
    if (!isStopped)
      timer = shell.clock.setTimer(waitMs, () => {
        renewal = renew();
      });
  };
  let renewal = renew();
  return () => {
    isStopped = true;
    timer?.cancel();
    return renewal;
  };
}

/** There is no lease, or none any more; the last is that of an older daemon. */
const final = [Code.FailedPrecondition, Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented];
