import { Command } from "commander";
import {
  addAddressFlags,
  addNotes,
  CommandFailure,
  credentialArgument,
  type DaemonSession,
  parseCredentialName,
  printable,
  providerOf,
  readCredential,
  type Shell,
  withDaemon,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import { loginOf } from "./login.js";
import { collectHost, credentialNameFor, type HelperFlags, hostsOf, type Site, siteOf } from "./site.js";

/** The words by which docker knows that it should go on without a credential. */
const notFound = "credentials not found in native keychain";

/** https://github.com/docker/docker-credential-helpers: docker reads errors from standard output. */
export function dockerCredentialCommand(shell: Shell): Command {
  const command = new Command("docker-credential")
    .argument("<connection>", credentialArgument)
    .argument("<operation>", "get, list, store, or erase; docker adds it")
    .option(
      "--host <host>",
      "a registry that may receive it, instead of the hosts of the provider's URLs; repeatable",
      collectHost,
    )
    .option("--username <name>", "user name sent with a token (default: the registry's convention)");
  addNotes(
    addAddressFlags(command),
    'docker runs a program named docker-credential-NAME. Create a script of two lines: #!/bin/sh and exec nexusd docker-credential github --host ghcr.io "$@".',
    "store and erase do nothing, because nexusd has the credential.",
  );
  return command.action(async (name: string, operation: string, flags: HelperFlags) => {
    try {
      const text = await answer(shell, name, operation, flags);
      if (text !== undefined) shell.stdout.write(`${text}\n`);
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      shell.stdout.write(`${error.message}\n`);
      throw new CommandFailure(exitCodes.failed, "");
    }
  });
}

async function answer(
  shell: Shell,
  name: string,
  operation: string,
  flags: HelperFlags,
): Promise<string | undefined> {
  const input = (await shell.stdin.readAll()).trim();
  if (operation === "store" || operation === "erase") return undefined;
  if (operation !== "get" && operation !== "list") {
    throw new CommandFailure(
      exitCodes.failed,
      `Unknown credential action ${printable(JSON.stringify(operation))}`,
    );
  }
  let text = "";
  await withDaemon(shell, flags, async (session) => {
    text = JSON.stringify(
      operation === "get" ? await get(session, name, input, flags) : await list(session, name, flags),
    );
  });
  return text;
}

async function get(
  session: DaemonSession,
  name: string,
  serverUrl: string,
  flags: HelperFlags,
): Promise<object> {
  const site = registryOf(serverUrl);
  const rule = { name, hosts: flags.host ?? [] };
  if (site === undefined || (await credentialNameFor(session, site, rule)) === undefined) {
    throw new CommandFailure(exitCodes.failed, notFound);
  }
  const credential = await readCredential(session, name);
  const { username, password } = loginOf(credential, site.hostname, flags.username);
  return { ServerURL: serverUrl, Username: username, Secret: password };
}

/** Each registry with its user name. */
async function list(
  session: DaemonSession,
  name: string,
  flags: HelperFlags,
): Promise<Record<string, string>> {
  const hosts = flags.host ?? hostsOf(await providerOf(session, parseCredentialName(name).connection));
  const credential = await readCredential(session, name);
  const users = hosts.map((host) => {
    const hostname = siteOf(undefined, host)?.hostname ?? host;
    return [host, loginOf(credential, hostname, flags.username).username];
  });
  return Object.fromEntries(users);
}

/** docker names a registry by its host alone, or by a URL, as `https://index.docker.io/v1/`. */
function registryOf(serverUrl: string): Site | undefined {
  const [, scheme, host = ""] = /^(?:([a-z]+):\/\/)?([^/]*)/.exec(serverUrl) ?? [];
  return siteOf(scheme, host);
}
