import { Command, Option } from "commander";
import {
  addNotes,
  type ConfirmedFlags,
  confirm,
  daemonCommand,
  formatFields,
  formatTable,
  formatTime,
  type Shell,
} from "../../cli/kit.js";
import type { ClientKey } from "../../gen/nexus/v1/client_key_pb.js";
import { ClientKeyService } from "../../gen/nexus/v1/client_key_pb.js";
import { type ClientKeyType, clientKeyTypes } from "../../model/credentials/credentials.js";

export function clientKeysCommand(shell: Shell): Command {
  return new Command("client-keys")
    .addCommand(listCommand(shell), { isDefault: true })
    .addCommand(rotateCommand(shell));
}

function listCommand(shell: Shell): Command {
  const command = new Command("list").description(
    "list the published keys and their URL (also what nexusd client-keys does)",
  );
  return daemonCommand(shell, command, async ({ daemon, call, show }) => {
    const answer = await call("list the client keys", daemon.of(ClientKeyService).listClientKeys, {});
    show(answer, () => formatKeys(answer));
  });
}

interface ClientKeyRotateFlags extends ConfirmedFlags {
  readonly type?: ClientKeyType;
  readonly compromised?: boolean;
}

const notes =
  "A new key is published at once and signs 24 hours later; the old one signs until then, stays published for 1 hour more, and is erased.";

function rotateCommand(shell: Shell): Command {
  const command = new Command("rotate")
    .description("create a new key of each existing type, or a first one of P-256")
    .addOption(
      new Option("--type <type>", "only keys of this type, even if there is none yet").choices([
        ...clientKeyTypes,
      ]),
    )
    .option("--compromised", "the new keys sign at once, and the current ones are erased")
    .option("-y, --yes", "do not ask");
  addNotes(command, notes);
  return daemonCommand(shell, command, async ({ daemon, call, show }, flags: ClientKeyRotateFlags) => {
    const isCompromised = flags.compromised === true;
    const question = "Providers refuse the daemon until they fetch the new keys. Erase the present ones?";
    if (isCompromised) await confirm(shell, question, flags.yes);
    const answer = await call("rotate the client keys", daemon.of(ClientKeyService).rotateClientKeys, {
      type: flags.type ?? "",
      compromised: isCompromised,
    });
    show(answer, () => formatKeys(answer));
  });
}

function formatKeys({
  keys,
  jwksUri,
}: {
  readonly keys: readonly ClientKey[];
  readonly jwksUri: string;
}): string {
  const rows = keys.map(({ kid, type, signing, signsFrom, endsAt }) => [
    kid,
    type,
    signing ? "signs" : endsAt ? "signed" : `signs from ${formatTime(signsFrom)}`,
    endsAt ? formatTime(endsAt) : "",
  ]);
  return `${formatFields([["jwks_uri", jwksUri]])}${formatTable(["KID", "TYPE", "USE", "ENDS"], rows)}`;
}
