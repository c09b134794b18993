import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../gen/nexus/v1/connection_pb.js";
import type { Token, WatchTokensResponse } from "../gen/nexus/v1/token_pb.js";
import { Holder, type WatchTokens } from "./holder.js";

/** @param apiKey the key that a TCP address asks for; a Unix socket asks for none */
export type Connect = (address: string, apiKey: string | undefined) => WatchTokens;

const usage = `usage: agent [--address A] [--call URL] [ids of connections; none means all]
  --address  unix:PATH or http://HOST:PORT (NEXUS_ADDRESS)
  --call     an API to call with each new token`;

export async function main(connect: Connect): Promise<void> {
  try {
    const { values, positionals } = parseArgs({
      options: { address: { type: "string", default: defaultAddress() }, call: { type: "string" } },
      allowPositionals: true,
    });
    await run(connect, values.address, positionals, values.call);
  } catch (error) {
    const isUsage = String((error as { code?: unknown }).code).startsWith("ERR_PARSE_ARGS");
    console.error((error as Error).message + (isUsage ? `\n${usage}` : ""));
    process.exitCode = isUsage ? 2 : 1;
  }
}

async function run(
  connect: Connect,
  address: string,
  connectionIds: string[],
  apiUrl: string | undefined,
): Promise<void> {
  const watchTokens = connect(address, address.startsWith("http://") ? readApiKey() : undefined);
  console.log(`connecting to ${address}`);
  const holder = new Holder();
  /** The revision that the API was last called with. */
  const called = new Map<string, bigint>();
  for await (const message of holder.watch(watchTokens, connectionIds)) {
    console.log(describe(message));
    if (message.event.case !== "state" || !apiUrl) continue;
    const id = message.event.value.connectionId;
    const token = holder.token(id);
    if (!token || called.get(id) === token.revision) continue;
    called.set(id, token.revision);
    void callApi(apiUrl, token).then((answer) => console.log(`${id}  API answered ${answer}`));
  }
}

/** One line for a person. It never holds a token. */
function describe({ event }: WatchTokensResponse): string {
  switch (event.case) {
    case "state": {
      const { connectionId, status, revision, token, problem } = event.value;
      const words = [connectionId, ConnectionStatus[status].toLowerCase(), `revision ${revision}`];
      if (token?.expiresAt) words.push(`expires ${timestampDate(token.expiresAt).toISOString()}`);
      else if (token) words.push("does not expire");
      if (problem) words.push(problem.reason);
      return words.join("  ");
    }
    case "removed":
      return `${event.value.connectionId}  removed`;
    case "bookmark":
      return `bookmark ${event.value.position?.revision}`;
    case "reset":
      return `reset: ${event.value.reason}`;
    default:
      return event.case ?? "a message of a newer daemon";
  }
}

async function callApi(url: string, token: Token): Promise<string> {
  try {
    const response = await fetch(url, { headers: headersOf(token), signal: AbortSignal.timeout(10_000) });
    await response.body?.cancel();
    return String(response.status);
  } catch (error) {
    return (error as Error).message;
  }
}

/** The header that carries the token. */
function headersOf({ strategy, credentials }: Token): Record<string, string> {
  if (strategy?.kind.case !== "oauth2") return {};
  const { headerName, valuePrefix = "", credentialField } = strategy.kind.value;
  return { [headerName]: `${valuePrefix}${credentials[credentialField] ?? ""}` };
}

function readApiKey(): string {
  const file = process.env["NEXUS_API_KEY_FILE"];
  if (!file) throw new Error("NEXUS_API_KEY_FILE must name the file of the API key");
  return readFileSync(file, "utf8").trim();
}

function defaultAddress(): string {
  const dataHome = process.env["XDG_DATA_HOME"] || join(homedir(), ".local/share");
  return process.env["NEXUS_ADDRESS"] || `unix:${join(dataHome, "nexusd/nexus.sock")}`;
}
