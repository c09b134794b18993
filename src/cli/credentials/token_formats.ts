import { exitCodes } from "../../daemon/exit_codes.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import { applyStrategy, StrategyError } from "../../strategies/apply_strategy.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import { formatTime, jsonLine, printable } from "../shell/text.js";
import { loginOf } from "./login.js";
import { type Credential, credentialValue } from "./read_credential.js";

export const tokenFormats = ["plain", "header", "json", "aws-process", "kubectl-exec", "netrc"] as const;
export type TokenFormat = (typeof tokenFormats)[number];

/** What a document holds beside the credential. */
export interface FormatContext {
  readonly env: NodeJS.ProcessEnv;
  /** The host of a netrc line. */
  readonly readHost: () => Promise<string>;
}

/** The document, with the line break at its end. @throws CommandFailure when the credential does not fit into the format */
export async function formatToken(
  format: TokenFormat,
  credential: Credential,
  { env, readHost }: FormatContext,
): Promise<string> {
  switch (format) {
    case "plain":
      return `${credentialValue(credential).value}\n`;
    case "json":
      return jsonLine(credential.token);
    case "header":
      return await headerLine(credential.token);
    case "aws-process":
      return awsProcess(credential.token);
    case "kubectl-exec":
      return kubectlExec(credential, env["KUBERNETES_EXEC_INFO"]);
    case "netrc":
      return netrcLine(credential, await readHost());
  }
}

/** `Authorization: Bearer ...`, as `curl -H @-` reads it. */
async function headerLine({ strategy, credentials, tokenType }: Token): Promise<string> {
  const kind = strategy?.kind;
  if (tokenType === "DPoP") {
    throw unfit("header", "it is bound to a key (DPoP), and each request needs a proof: use nexusd curl");
  }
  if (kind?.case !== "oauth2" && kind?.case !== "header" && kind?.case !== "basicAuth") {
    throw unfit("header", "its strategy is no header that is the same for each request: use nexusd curl");
  }
  try {
    const request = { method: "GET", url: "https://localhost/", headers: {} };
    const { headers } = await applyStrategy(request, { kind }, credentials);
    return Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join("");
  } catch (error) {
    if (error instanceof StrategyError) throw unfit("header", error.message);
    throw error;
  }
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
function kubectlExec(credential: Credential, execInfo: string | undefined): string {
  const { value: token, expiresAt } = credentialValue(credential);
  const expirationTimestamp = formatTime(expiresAt);
  return document({
    apiVersion: execInfo === undefined ? execVersions[0] : askedVersion(execInfo),
    kind: "ExecCredential",
    status: { token, ...(expirationTimestamp === "" ? {} : { expirationTimestamp }) },
  });
}

/** kubectl refuses another version than that of its kubeconfig, which it passes on. */
function askedVersion(execInfo: string): string {
  let asked: unknown;
  try {
    asked = (JSON.parse(execInfo) as { apiVersion?: unknown } | null)?.apiVersion;
  } catch {
    asked = undefined;
  }
  const version = execVersions.find((known) => known === asked);
  if (version !== undefined) return version;
  throw usageFailure(
    `KUBERNETES_EXEC_INFO asks for another apiVersion than ${execVersions.join(" or ")}: set one of them in the kubeconfig`,
  );
}

/** As curl, git and Go read it. Their parsers differ in what they do with quotes, so that none is written. */
function netrcLine(credential: Credential, host: string): string {
  const { username, password } = loginOf(credential, host);
  for (const [name, value] of Object.entries({ username, password })) {
    if (!/^[!$-[\]-~][!-[\]-~]*$/.test(value)) {
      throw unfit("netrc", `its ${name} has characters that a netrc file cannot hold`);
    }
  }
  return `machine ${host} login ${username} password ${password}\n`;
}

function document(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function unfit(format: TokenFormat, why: string): CommandFailure {
  return new CommandFailure(
    exitCodes.failed,
    printable(`the credential of this connection does not fit the format ${format}: ${why}`),
  );
}
