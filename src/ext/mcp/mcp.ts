import { Command, InvalidArgumentError } from "commander";
import { addAddressFlags, addNotes, collect, printable, type Shell, usageFailure } from "../../cli/kit.js";
import { type ListenAddress, parseListenAddress } from "../../model/model.js";
import type { McpServing } from "./serve_mcp.js";
import { defaultMaxAnswerBytes, type McpPolicy } from "./tools/mcp_policy.js";

interface McpFlags extends McpServing {
  readonly user?: string;
  readonly anyUser?: boolean;
  readonly provider?: readonly string[];
  readonly method?: readonly string[];
  readonly host?: readonly string[];
  readonly maxAnswer: number;
  readonly allowGetToken?: boolean;
}

/** What changes nothing at an API that keeps to RFC 9110 section 9.2.1. */
const defaultMethods = ["GET", "HEAD"];
/** Of an answer, all of which is searched for the credential; more is a file. */
const maxAnswerLimit = 1024 * 1024;

export function mcpCommand(shell: Shell): Command {
  const command = new Command("mcp")
    .description("serve the Model Context Protocol: a model calls APIs without seeing a credential")
    .option("--user <id>", "user of the tools (default: the user of the API key, or your login name)")
    .option("--any-user", "let the model name the user in each call")
    .option("--provider <name>", "only this provider; repeatable (default: all)", collect)
    .option(
      "--method <method>",
      `what call_api may send, or 'any'; repeatable (default: ${defaultMethods.join(" and ")})`,
      collect,
    )
    .option(
      "--host <host>",
      "only APIs at this host, such as api.github.com; repeatable (default: those of all providers)",
      collect,
    )
    .option(
      "--max-answer <bytes>",
      "maximum size of an API response for the model",
      parseMaxAnswer,
      defaultMaxAnswerBytes,
    )
    .option("--allow-get-token", "add the tool get_token, which returns a credential to the model")
    .option(
      "--listen <address>",
      "use streamable HTTP at host:port or unix:path instead of stdio",
      parseListen,
    )
    .option(
      "--allow-host <name>",
      "another accepted host name, for a proxy in front of --listen; repeatable",
      collect,
    );
  addNotes(
    addAddressFlags(command),
    "Without --listen, it serves the client that started it, on standard input and output. With --listen, it serves the path /mcp. Over TCP, only on this machine, each request needs an API key of the daemon as `Authorization: Bearer`, whose role and restrictions apply. Over a Unix socket (mode 0600), its owner needs no key.",
  );
  return command.action(async (flags: McpFlags) => {
    const policy = policyOf(shell, flags);
    const { serveMcp } = await import("./serve_mcp.js");
    await serveMcp(shell, flags, policy);
  });
}

function policyOf(shell: Shell, flags: McpFlags): McpPolicy {
  if (flags.user !== undefined && flags.anyUser)
    throw usageFailure("--user and --any-user exclude each other");
  if (flags.user === "") throw usageFailure("--user must name a user");
  if (flags.listen === undefined && flags.allowHost !== undefined)
    throw usageFailure("--allow-host belongs to --listen");
  const methods = (flags.method ?? defaultMethods).map((method) => method.toUpperCase());
  for (const method of methods)
    if (!/^[A-Z]+$/.test(method) || method === "CONNECT")
      throw usageFailure(`--method ${printable(method)} is not a method, such as GET or PATCH, nor any`);
  return {
    userId: flags.anyUser ? undefined : (flags.user ?? shell.userName()),
    isLoginName: !flags.anyUser && flags.user === undefined,
    providers: (flags.provider ?? []).map((name) => name.trim().toLowerCase()),
    methods: methods.includes("ANY") ? [] : methods,
    hosts: (flags.host ?? []).map(hostOf),
    maxAnswerBytes: flags.maxAnswer,
    givesTokens: flags.allowGetToken ?? false,
  };
}

function hostOf(text: string): string {
  const url = URL.canParse(`https://${text}`) ? new URL(`https://${text}`) : undefined;
  if (url !== undefined && url.href === `https://${url.host}/`) return url.host;
  throw usageFailure(
    `--host ${printable(text)} must be a host alone, such as api.github.com or localhost:5000`,
  );
}

function parseMaxAnswer(text: string): number {
  const bytes = Number(text);
  if (Number.isInteger(bytes) && bytes >= 1 && bytes <= maxAnswerLimit) return bytes;
  throw new InvalidArgumentError(`It must be a number of bytes from 1 to ${maxAnswerLimit}.`);
}

function parseListen(text: string): ListenAddress {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : "It is no address.");
  }
}
