import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import {
  addAddressFlags,
  addNotes,
  CommandFailure,
  credentialArgument,
  type DaemonSession,
  printable,
  type ReadCredential,
  readCredential,
  type Shell,
  usageFailure,
  withDaemon,
  withKey,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import { type Login, loginOf } from "./login.js";
import {
  collectHost,
  credentialNameFor,
  type HelperFlags,
  type Site,
  type SiteRule,
  siteOf,
} from "./site.js";

interface HelperRule extends SiteRule {
  /** Beside a token; undefined for what the server wants. */
  readonly username: string | undefined;
}

/** What git says of the server (gitcredentials(7), git-credential(1)). */
type Description = ReadonlyMap<string, string>;

const operations = ["get", "store", "erase"];

export function gitCredentialCommand(shell: Shell): Command {
  const command = new Command("git-credential")
    .argument("[connection]", `${credentialArgument} (default: the provider whose URLs lead to the server)`)
    .argument("[operation]", "get, store, or erase; git adds it")
    .option(
      "--host <host>",
      "a server that may receive it, instead of those of the provider's URLs; repeatable",
      collectHost,
    )
    .option("--username <name>", "user name sent with a token (default: the server's convention)");
  addNotes(
    addAddressFlags(command),
    "store does nothing, because nexusd has the credential. erase refreshes a credential that the server rejected.",
  );
  return command.action(async (first: string | undefined, second: string | undefined, flags: HelperFlags) => {
    const [name, operation] = second === undefined ? [undefined, first ?? ""] : [first, second];
    if (second === undefined && !operations.includes(operation)) {
      throw usageFailure("git calls this with an operation: get, store, or erase");
    }
    // git asks helpers to ignore an operation that they do not know.
    if (operation !== "get" && operation !== "erase") return;
    if (name === undefined && flags.host !== undefined)
      throw usageFailure("--host needs the connection that the hosts may have");
    const description = parseDescription(await shell.stdin.readAll());
    const site = siteOf(description.get("protocol") ?? "", description.get("host") ?? "");
    if (site === undefined) return;
    const rule = { name, hosts: flags.host ?? [], username: flags.username };
    await withDaemon(shell, flags, async (session) => {
      if (operation === "get") await get(session, site, rule, description.get("username"));
      else await erase(session, site, rule, description.get("password"));
    });
  });
}

async function get(
  session: DaemonSession,
  site: Site,
  rule: HelperRule,
  username: string | undefined,
): Promise<void> {
  try {
    // A user name in the URL goes before ours, but a credential with a name of its own is for that one alone.
    const found = await read(session, site, { ...rule, username: username ?? rule.username });
    const isOther = username !== undefined && found?.login.username !== username;
    if (found !== undefined && !isOther) session.shell.stdout.write(answer(found.login));
  } catch (error) {
    // Or else git asks the person for a password that does not exist, and an agent waits for ever.
    const isForPerson = error instanceof CommandFailure && error.exitCode === exitCodes.attentionNeeded;
    if (isForPerson) session.shell.stdout.write("quit=1\n");
    throw error;
  }
}

/** Another credential than the current one was refused before, and reveals nothing of this one. */
async function erase(
  session: DaemonSession,
  site: Site,
  rule: HelperRule,
  password: string | undefined,
): Promise<void> {
  const found = await read(session, site, rule);
  if (found === undefined || found.login.password !== password) return;
  const { connectionId } = found.credential;
  await withKey({ id: connectionId, name: undefined }, () =>
    session.call(`refresh the credential that ${site.host} refused`, session.daemon.tokens.refreshToken, {
      connectionId,
    }),
  );
  session.shell.stderr.write(`nexusd: ${site.host} refused the credential, which was refreshed: try again\n`);
}

async function read(
  session: DaemonSession,
  site: Site,
  rule: HelperRule,
): Promise<{ readonly credential: ReadCredential; readonly login: Login } | undefined> {
  const name = await credentialNameFor(session, site, rule);
  if (name === undefined) return undefined;
  const credential = await readCredential(session, name);
  return { credential, login: loginOf(credential, site.hostname, rule.username) };
}

/** @throws CommandFailure for what a line cannot hold */
function answer({ username, password, expiresAt }: Login): string {
  for (const [name, value] of Object.entries({ username, password })) {
    if (!/[\n\0]/.test(value)) continue;
    throw new CommandFailure(
      exitCodes.failed,
      printable(`the ${name} holds a line break, which git cannot take`),
    );
  }
  const expiry = expiresAt ? [`password_expiry_utc=${Math.floor(timestampMs(expiresAt) / 1000)}`] : [];
  return `${[`username=${username}`, `password=${password}`, ...expiry].join("\n")}\n`;
}

/** `key=value` lines up to an empty one. Of those that come more than once, as `wwwauth[]`, none is needed. */
function parseDescription(text: string): Description {
  const [lines = ""] = text.split("\n\n");
  return new Map(
    lines.split("\n").flatMap((line): [string, string][] => {
      const equals = line.indexOf("=");
      return equals < 0 ? [] : [[line.slice(0, equals), line.slice(equals + 1)]];
    }),
  );
}
