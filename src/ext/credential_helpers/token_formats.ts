import {
  CommandFailure,
  credentialValue,
  type FormatContext,
  formatTime,
  printable,
  type ReadCredential,
  type TokenFormat,
  usageFailure,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import { applyStrategy, StrategyError } from "../../strategies/strategies.js";
import { loginOf } from "./login.js";

/** What other programs read. */
export const tokenFormats: Readonly<Record<string, TokenFormat>> = {
  header: {
    write: async ({ token }) =>
      (await headersOf("header", token)).map((each) => `${each.join(": ")}\n`).join(""),
  },
  "mcp-headers": {
    write: async ({ token }) => document(Object.fromEntries(await headersOf("mcp-headers", token))),
  },
  "token-json": { write: tokenJson },
  "aws-process": { write: ({ token }) => awsProcess(token) },
  "kubectl-exec": { write: (credential, { env }) => kubectlExec(credential, env["KUBERNETES_EXEC_INFO"]) },
  netrc: {
    takesHost: true,
    write: async (credential, context) => netrcLine(credential, (await placeOf(context)).hostname),
  },
  npmrc: {
    takesHost: true,
    write: async (credential, context) => npmrcLine(credential, (await placeOf(context)).registry),
  },
};

/** Where the credential of a netrc or npmrc line belongs: a host, with port and path where they were found in a URL. */
async function placeOf({ host, readApiBaseUrl }: FormatContext) {
  if (host !== undefined) return { hostname: host, registry: `${host}/` };
  const apiBaseUrl = await readApiBaseUrl();
  if (apiBaseUrl === "")
    throw usageFailure("the provider has no API base URL to take the host from: give --host");
  const url = new URL(apiBaseUrl);
  return { hostname: url.hostname, registry: `${url.host}${url.pathname.replace(/\/*$/, "/")}` };
}

/** `Authorization: Bearer ...`: as `curl -H @-` reads it, or as the `headersHelper` of an MCP host does. */
async function headersOf(
  format: string,
  { strategy, credentials, tokenType }: Token,
): Promise<[string, string][]> {
  const kind = strategy?.kind;
  if (tokenType === "DPoP") {
    throw unfit(format, "it is bound to a key (DPoP), and each request needs a proof: use nexusd curl");
  }
  if (kind?.case !== "oauth2" && kind?.case !== "header" && kind?.case !== "basicAuth") {
    throw unfit(format, "its strategy is no header that is the same for each request: use nexusd curl");
  }
  try {
    const request = { method: "GET", url: "https://localhost/", headers: {} };
    return Object.entries((await applyStrategy(request, { kind }, credentials)).headers);
  } catch (error) {
    if (error instanceof StrategyError) throw unfit(format, error.message);
    throw error;
  }
}

function tokenJson(credential: ReadCredential): string {
  const { value: token, expiresAt } = credentialValue(credential);
  return document({ token, ...(expiresAt ? { expires_at: formatTime(expiresAt) } : {}) });
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
function awsProcess({ credentials, expiresAt }: Token): string {
  const {
    access_key: accessKeyId = "",
    secret_key: secretAccessKey = "",
    session_token: sessionToken = "",
  } = credentials;
  if (accessKeyId === "" || secretAccessKey === "") {
    throw unfit("aws-process", "it has no fields access_key and secret_key");
  }
  return document({
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    ...(sessionToken === "" ? {} : { SessionToken: sessionToken }),
    ...(expiresAt ? { Expiration: formatTime(expiresAt) } : {}),
  });
}

const execVersions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/** https://kubernetes.io/docs/reference/config-api/client-authentication.v1/ */
function kubectlExec(credential: ReadCredential, execInfo: string | undefined): string {
  const { value: token, expiresAt } = credentialValue(credential);
  const expirationTimestamp = formatTime(expiresAt);
  return document({
    apiVersion: execInfo === undefined ? execVersions[0] : execVersion(execInfo),
    kind: "ExecCredential",
    status: { token, ...(expirationTimestamp === "" ? {} : { expirationTimestamp }) },
  });
}

/** kubectl refuses another version than that of its kubeconfig, which it passes on. */
function execVersion(execInfo: string): string {
  let apiVersion: unknown;
  try {
    apiVersion = (JSON.parse(execInfo) as { apiVersion?: unknown } | null)?.apiVersion;
  } catch {
    apiVersion = undefined;
  }
  const version = execVersions.find((known) => known === apiVersion);
  if (version !== undefined) return version;
  throw usageFailure(
    `KUBERNETES_EXEC_INFO asks for another apiVersion than ${execVersions.join(" or ")}: set one of them in the kubeconfig`,
  );
}

/** As curl, git and Go read it. Their parsers differ in what they do with quotes, so that none is written. */
function netrcLine(credential: ReadCredential, host: string): string {
  const { username, password } = loginOf(credential, host);
  requireWords("netrc", { username, password });
  return `machine ${host} login ${username} password ${password}\n`;
}

/** https://docs.npmjs.com/cli/configuring-npm/npmrc#auth-related-configuration, which would expand a `${NAME}`. */
function npmrcLine(credential: ReadCredential, registry: string): string {
  if (credential.token.strategy?.kind.case === "basicAuth" && credential.field === undefined) {
    const { username, password } = loginOf(credential, registry);
    return `//${registry}:_auth=${Buffer.from(`${username}:${password}`).toString("base64")}\n`;
  }
  const { value } = credentialValue(credential);
  requireWords("npmrc", { value });
  return `//${registry}:_authToken=${value}\n`;
}

function requireWords(format: string, words: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(words)) {
    const isWord = format === "npmrc" ? /^[!%&(-:<-[\]-_a-~]+$/ : /^[!$-[\]-~][!-[\]-~]*$/;
    if (isWord.test(value)) continue;
    throw unfit(format, `its ${name} has characters that a ${format} file cannot hold`);
  }
}

function document(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function unfit(format: string, why: string): CommandFailure {
  return new CommandFailure(
    exitCodes.failed,
    printable(`the credential of this connection does not fit the format ${format}: ${why}`),
  );
}
