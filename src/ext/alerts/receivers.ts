import { readFileSync } from "node:fs";
import { StartRefused } from "../../core/registry.js";
import { DocumentError, formatViolations } from "../../document/document.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import type { Clock } from "../../runtime/runtime.js";
import { sendToCommand } from "./command.js";
import type { Receiver } from "./receiver.js";
import { type ReceiverSpec, readReceivers } from "./receivers_document.js";
import { sendWebhook } from "./webhook.js";
import { readWebhookSecrets } from "./webhook_secrets.js";

/** A receiver cannot be notified: the daemon does not start with one that it was asked to notify. */
export class ReceiversError extends StartRefused {
  override readonly name = "ReceiversError";
}

export interface ReceiversOptions {
  /** Of the settings. */
  readonly specs: readonly ReceiverSpec[];
  /** A file with more of them; absolute. */
  readonly file: string | undefined;
  readonly outbound: OutboundFetch;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** Called for the file of each webhook. */
  readonly foundSecrets?: (name: string, path: string) => void;
}

/** Everyone who is to be notified. @throws ReceiversError naming every error with its line */
export function openReceivers(options: ReceiversOptions): Receiver[] {
  const specs = [...options.specs, ...(options.file === undefined ? [] : readFile(options.file))];
  for (const { name, target } of specs) {
    if (target.kind === "webhook") options.foundSecrets?.(name, target.secretsFile);
    const isOpen = target.kind === "command" || readWebhookSecrets(target.secretsFile) !== undefined;
    if (isOpen) continue;
    throw new ReceiversError(
      `the secrets of the receiver ${name} cannot be used: its file must hold a line of whsec_ and 24 to 64 bytes in base64, ` +
        'as `echo "whsec_$(openssl rand -base64 32)"` prints one',
    );
  }
  const twice = specs.find(({ name }, index) => specs.findIndex((other) => other.name === name) < index);
  if (twice) throw new ReceiversError(`two receivers are named ${twice.name}: rename the one of the file`);
  return specs.map((spec) => receiverOf(spec, options));
}

function receiverOf({ name, target, types }: ReceiverSpec, options: ReceiversOptions): Receiver {
  return {
    name,
    wants: (type) => types.length === 0 || types.some((wanted) => wanted === type),
    send: (message, signal) =>
      target.kind === "command"
        ? sendToCommand(target.argv, options, message, signal)
        : sendWebhook({ ...options, ...target }, message, signal),
  };
}

function readFile(path: string): ReceiverSpec[] {
  try {
    return readReceivers(readFileSync(path, "utf8"));
  } catch (error) {
    const lines = error instanceof DocumentError ? formatViolations(error) : [(error as Error).message];
    throw new ReceiversError(
      `the file of receivers cannot be used:${lines.map((line) => `\n  ${path}:${line}`).join("")}`,
    );
  }
}
