import { Command, InvalidArgumentError } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import type { VerifyAuditLogResponse } from "../../gen/nexus/v1/audit_pb.js";
import { CommandFailure } from "../shell/command_failure.js";
import { type DaemonFlags, daemonCommand } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { jsonLine, printable } from "../shell/text.js";

interface Checkpoint {
  readonly sequence: bigint;
  readonly hash: string;
}

interface VerifyFlags extends DaemonFlags {
  readonly checkpoint?: Checkpoint;
}

const meanings: Readonly<Record<string, string>> = {
  altered: "is not as it was written, or the hash before it is not",
  missing: "was removed",
  unexpected: "was put there by somebody else",
  unreadable: "was overwritten with something else",
  head_missing: "belongs to a chain whose head was removed",
  head_mismatch: "is not the one that the head names",
  checkpoint_mismatch: "is not the one of the checkpoint: the log was rewritten since",
  checkpoint_pruned: "was pruned by now: give a newer checkpoint",
};

export function auditVerifyCommand(shell: Shell): Command {
  const command = new Command("verify")
    .description("verify the hash chain: detects removed, altered, inserted, and truncated events")
    .option(
      "--checkpoint <sequence:hash>",
      "output of an earlier verify; also detects a log that was rewritten completely",
      parseCheckpoint,
    );
  return daemonCommand(shell, command, async ({ daemon, call }, { checkpoint, json }: VerifyFlags) => {
    const request = checkpoint && {
      checkpointSequence: checkpoint.sequence,
      checkpointHash: checkpoint.hash,
    };
    const answer = await call("verify the audit log", daemon.audit.verifyAuditLog, request ?? {});
    if (json) shell.stdout.write(jsonLine(answer));
    if (answer.reason !== "") throw new CommandFailure(exitCodes.failed, violation(answer));
    if (!json) shell.stdout.write(summary(answer));
  });
}

function violation({ firstBadSequence, reason, checked }: VerifyAuditLogResponse): string {
  const meaning = meanings[reason] ?? printable(reason);
  return `the audit log is not as it was written: event ${firstBadSequence} ${meaning} (${checked} events before it are intact)`;
}

function summary(answer: VerifyAuditLogResponse): string {
  return [
    `${answer.checked} events verified, none was changed`,
    `head ${answer.headSequence}:${answer.headHash}`,
    "Anyone who can rewrite the whole file can also rewrite its hashes. Store the head elsewhere, and pass it as --checkpoint.",
    "",
  ].join("\n");
}

function parseCheckpoint(text: string): Checkpoint {
  const [, sequence, hash] = /^(\d{1,18}):([0-9a-f]{64})$/.exec(text.trim().toLowerCase()) ?? [];
  if (sequence === undefined || hash === undefined || BigInt(sequence) === 0n) {
    throw new InvalidArgumentError(
      "It must be what nexusd audit verify printed after head, such as 120:3fa2...",
    );
  }
  return { sequence: BigInt(sequence), hash };
}
