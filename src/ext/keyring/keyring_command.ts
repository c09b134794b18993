import { create } from "@bufbuild/protobuf";
import { Command, InvalidArgumentError } from "commander";
import {
  CommandFailure,
  type ConfirmedFlags,
  confirm,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
  formatFields,
  formatTable,
  type Shell,
  usageFailure,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import {
  GetKeyringResponseSchema,
  type Keyring,
  KeyringService,
  KeySource,
} from "../../gen/nexus/v1/keyring_pb.js";
import { delay } from "../../runtime/runtime.js";

/** How often a rotation is asked how far it is. */
const progressIntervalMs = 1_000;
/** Retiring looks at every record: a million of them within a minute. */
const retireTimeoutMs = 10 * 60_000;

export function keyringCommand(shell: Shell): Command {
  return new Command("keyring")
    .addCommand(statusCommand(shell), { isDefault: true })
    .addCommand(addCommand(shell))
    .addCommand(rotateCommand(shell))
    .addCommand(retireCommand(shell));
}

function statusCommand(shell: Shell): Command {
  const command = new Command("status")
    .description("list the keys, and how many records need each (also what nexusd keyring does)")
    .option("--reload", "read the key file, or run the key command, again first");
  return daemonCommand(
    shell,
    command,
    async ({ daemon, call, show }, flags: DaemonFlags & { readonly reload?: boolean }) => {
      const answer = await call("read the key ring", daemon.of(KeyringService).getKeyring, {
        reload: flags.reload === true,
      });
      show(answer, () => formatKeyring(answer.keyring));
    },
  );
}

function addCommand(shell: Shell): Command {
  const command = new Command("add").description("add a new key to the key file; rotate starts using it");
  return daemonCommand(shell, command, async ({ daemon, call, show }) => {
    const answer = await call("add a key", daemon.of(KeyringService).addKey, {});
    show(
      answer,
      () =>
        `${answer.keyId}\nThe key is in ${answer.path}. Back up that file, apart from the store, before you run \`${shell.program} keyring rotate\`.\n`,
    );
  });
}

interface KeyringRotateFlags extends DaemonFlags {
  readonly to?: string;
  readonly wait: boolean;
}

function rotateCommand(shell: Shell): Command {
  const command = new Command("rotate")
    .description("re-encrypt every record with the new key while the daemon runs")
    .option("--to <key-id>", "key to use (default: the newest)", parseKeyId)
    .option("--no-wait", "return when it has started");
  return daemonCommand(shell, command, async (session, flags: KeyringRotateFlags) => {
    const { daemon, call } = session;
    const keyId = flags.to === undefined ? "" : await wholeKeyId(session, flags.to);
    let { keyring } = await call("rotate the key", daemon.of(KeyringService).rotateKeyring, { keyId });
    if (flags.wait) keyring = await untilRotated(session, keyring);
    const answer = create(GetKeyringResponseSchema, keyring ? { keyring } : {});
    session.show(answer, () => formatKeyring(keyring));
    if (flags.wait && keyring && keyring.remaining > 0n)
      throw new CommandFailure(exitCodes.failed, leftover(keyring));
  });
}

function retireCommand(shell: Shell): Command {
  const command = new Command("retire")
    .description("remove a key that no record needs from the key file")
    .argument("<key-id>", "which key", parseKeyId)
    .option("-y, --yes", "do not ask");
  return daemonCommand(shell, command, async (session, flags: ConfirmedFlags, given: string) => {
    const { daemon, call } = session;
    const keyId = await wholeKeyId(session, given);
    await confirm(shell, `Backups made with key ${keyId} need it still. Retire it here?`, flags.yes);
    const { removedFromSource } = await call(
      `retire key ${keyId}`,
      daemon.of(KeyringService).retireKey,
      { keyId },
      { timeoutMs: retireTimeoutMs },
    );
    if (flags.json) {
      const result = { key_id: keyId, removed_from_source: removedFromSource };
      shell.stdout.write(`${JSON.stringify(result)}\n`);
    } else if (removedFromSource) shell.stdout.write(`key ${keyId} is retired and out of its file\n`);
    else shell.stdout.write(`key ${keyId} is retired: remove it from where the keys come from\n`);
  });
}

/** Shows how far it is, on a terminal in one line. */
async function untilRotated(
  { shell, daemon, call }: DaemonSession,
  begun: Keyring | undefined,
): Promise<Keyring | undefined> {
  let keyring = begun;
  while (keyring?.rotating) {
    const end = shell.stderr.isTTY ? "\r" : "\n";
    shell.stderr.write(`${keyring.remaining} records to go   ${end}`);
    await delay(shell.clock, progressIntervalMs);
    ({ keyring } = await call("read the key ring", daemon.of(KeyringService).getKeyring, {}));
  }
  return keyring;
}

function leftover({ remaining, unreadable }: Keyring): string {
  return unreadable > 0n
    ? `${unreadable} records do not open and stay as they are; they need no key: the old one can be retired`
    : `${remaining} records were not encrypted again: see the log of the daemon, and rotate again`;
}

function formatKeyring(keyring: Keyring | undefined): string {
  if (!keyring) return "";
  const source = KeySource[keyring.source]?.toLowerCase() ?? "";
  const rows = keyring.keys.map((key) => [key.keyId, key.primary ? "primary" : "", `${key.records}`]);
  const fields = formatFields([
    ["source", keyring.path === "" ? source : `${source} ${keyring.path}`],
    ["rotation", keyring.rotating ? `${keyring.remaining} records to go` : ""],
    ["unreadable", keyring.unreadable === 0n ? "" : `${keyring.unreadable} records do not open`],
  ]);
  return `${fields}${formatTable(["KEY", "USE", "RECORDS"], rows)}`;
}

function parseKeyId(text: string): string {
  if (!/^[0-9a-f]{4,16}$/.test(text)) {
    throw new InvalidArgumentError(
      "It must be 16 hexadecimal digits, as nexusd keyring prints them, or at least the first 4.",
    );
  }
  return text;
}

/** The one key of the ring whose id begins so. A whole id is the daemon's to judge. */
async function wholeKeyId({ daemon, call }: DaemonSession, text: string): Promise<string> {
  if (text.length === 16) return text;
  const { keyring } = await call("read the key ring", daemon.of(KeyringService).getKeyring, {});
  const found = (keyring?.keys ?? []).filter(({ keyId }) => keyId.startsWith(text));
  const [key] = found;
  if (key && found.length === 1) return key.keyId;
  throw usageFailure(
    found.length === 0
      ? `no key of the ring begins with ${text}`
      : [`${text} is the beginning of several keys:`, ...found.map(({ keyId }) => `  ${keyId}`)].join("\n"),
  );
}
