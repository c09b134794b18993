import { Command } from "commander";
import {
  type ApiAnswer,
  addAddressFlags,
  addNotes,
  apiBaseUrlOf,
  apiUrl,
  CommandFailure,
  checkHeaders,
  collect,
  connectionArgument,
  credentialRpcs,
  type DaemonFlags,
  type DaemonSession,
  type DataFlags,
  exchangeFailure,
  parseCredentialName,
  parseMethod,
  printable,
  providerOf,
  type ReadCredential,
  readBody,
  readCredential,
  type Shell,
  sendToApi,
  usageFailure,
  withDaemon,
} from "../../cli/kit.js";
import { readAuthorityFiles, readVersion, SettingReader } from "../../config/config.js";
import { exitCodes } from "../../core/registry.js";
import { apiResponse, CredentialedExchange, usableCredential } from "../../domain/use/use.js";
import { ContractCredentials } from "../../service/messages/messages.js";
import type { ApiRequest } from "../../strategies/strategies.js";

interface CurlFlags extends DaemonFlags, DataFlags {
  readonly request?: string;
  readonly header?: readonly string[];
  readonly include?: boolean;
  readonly fail?: boolean;
}

export function curlCommand(shell: Shell): Command {
  const command = new Command("curl")
    .description("send one authorized request to a provider's API, and print the response")
    .argument("<connection>", connectionArgument)
    .argument("<path>", "path and query below the provider's API base URL, or a URL of the same origin")
    .option("-X, --request <method>", "the method (default: GET, or POST with data)")
    .option("-H, --header <line>", "a header, such as 'Accept: text/plain'; repeatable", collect)
    .option(
      "-d, --data <data>",
      "a form or other text, @FILE, or @- for standard input, without line breaks; repeatable",
      collect,
    )
    .option("--data-binary <data>", "the same, unchanged", collect)
    .option("-i, --include", "print the status and the headers before the body")
    .option("-f, --fail", "on a status of 400 or more, print no body and exit with 23")
    .option("-s, --silent", "accepted for compatibility with curl; no effect");
  addNotes(
    addAddressFlags(command),
    "nexusd sends requests only to the origin of the provider's API base URL, and does not follow redirects. Like curl's, the exit code is 0 for any status.",
  );
  return command.action((name: string, path: string, flags: CurlFlags) => curl(shell, name, path, flags));
}

async function curl(shell: Shell, name: string, path: string, flags: CurlFlags): Promise<void> {
  const { connection, field } = parseCredentialName(name);
  if (field !== undefined)
    throw usageFailure("the strategy takes the fields that it needs: name the connection alone");
  const method = flags.request === undefined ? undefined : parseMethod(flags.request);
  const headers = parseHeaders(flags.header ?? []);
  const body = await readBody(shell, flags);
  let answer: ApiAnswer | undefined;
  await withDaemon(shell, flags, async (session) => {
    const provider = await providerOf(session, connection);
    const own: ApiRequest<Uint8Array> = {
      method: method ?? (body === undefined ? "GET" : "POST"),
      url: apiUrl(apiBaseUrlOf(provider), path),
      headers: { accept: "*/*", "user-agent": `nexusd/${readVersion()}`, ...formType(body), ...headers },
      body,
    };
    const { apiCaFile } = provider;
    answer = await send(own, { ...(await readCredential(session, connection)), apiCaFile }, session);
  });
  if (answer === undefined) throw new Error("no request was made");
  await print(shell, answer, flags);
}

/** Like `nexusd token`, it shows the rules no request: whoever may read the token may send it. */
async function send(
  own: ApiRequest<Uint8Array>,
  { token, connectionId, apiCaFile }: ReadCredential & { readonly apiCaFile: string },
  { daemon, shell }: DaemonSession,
): Promise<ApiAnswer> {
  const rpcs = credentialRpcs(daemon);
  const authorities = readAuthorityFiles(new SettingReader(shell.env, {}));
  const { method, url, body } = own;
  const exchange = new CredentialedExchange<ApiAnswer>({
    source: new ContractCredentials(rpcs, { connectionId }, { isJudged: false }),
    judged: () => ({ method, url, headers: {}, body, session: "" }),
    send: async ({ certificate }, put) => {
      const secureContext = await authorities.secureContext(apiCaFile, certificate);
      return await sendToApi(await put(own), { secureContext });
    },
    responseOf: ({ status, headers }) => apiResponse(status, headers),
    dismiss: (answer) => answer.dismiss(),
    onReport: (outcome) => {
      const { authUrl = "" } = ("consent" in outcome && outcome.consent) || {};
      const wanted =
        outcome.kind === "scopes_missing"
          ? "permissions that the user has not given"
          : "another sign-in of the user";
      const words = `the API wants ${wanted}: open ${authUrl}`;
      if (authUrl !== "") shell.stderr.write(`nexusd: ${printable(words)}\n`);
    },
  });
  try {
    return await exchange.run(usableCredential(token));
  } catch (error) {
    throw exchangeFailure(error, "use the credential of this connection", daemon);
  }
}

async function print(shell: Shell, answer: ApiAnswer, flags: CurlFlags): Promise<void> {
  if (flags.include) await shell.stdout.writeBytes(Buffer.from(answer.head, "latin1"));
  if (flags.fail && answer.status >= 400) {
    answer.dismiss();
    throw new CommandFailure(exitCodes.apiError, `the API answered ${answer.status}`);
  }
  for await (const chunk of answer.body()) await shell.stdout.writeBytes(chunk);
}

function formType(body: Uint8Array | undefined): Record<string, string> {
  return body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
}

/** `Name: value` lines. @throws CommandFailure as `checkHeaders` */
function parseHeaders(lines: readonly string[]): Record<string, string> {
  const pairs = lines.map((line): [string, string] => {
    const [, name = "", value = ""] = /^([^:]*):\s*(.*?)\s*$/s.exec(line) ?? [];
    if (name === "") throw usageFailure(`--header ${printable(line)}: must be NAME: VALUE`);
    return [name, value];
  });
  return checkHeaders(pairs, "--header");
}
