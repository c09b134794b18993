import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type CallToolResult, Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { World } from "../../../daemon/harness.js";
import { EchoApi } from "../../../fakes/echo_api.js";

const main = join(import.meta.dirname, "../../../../dist/main.js");

/** The revisions of the protocol that begin with a handshake, and those that have none. */
export type Revision = "2025-11-25" | "2026-07-28";
export type Transport = "stdio" | "http";

export interface McpClientOptions {
  readonly revision: Revision;
  readonly transport: Transport;
  /** Of `nexusd mcp`. */
  readonly flags?: readonly string[];
  /** What the person answers who is shown a link; without it the client cannot show one. */
  readonly onLink?: (url: string, message: string) => "accept" | "decline" | "cancel";
  /** Over HTTP; that of the admin by default. */
  readonly key?: string;
  /** Over HTTP, of a server that runs already. */
  readonly url?: string;
}

/** A live daemon with an OpenID provider, an API, and hosts that start `nexusd mcp`. */
export class McpWorld {
  readonly #children: ChildProcess[] = [];
  readonly #clients: McpClient[] = [];
  readonly #listening = new Map<string, Promise<string>>();
  /** Every message and every line that clients and hosts got, to be searched for secrets. */
  readonly seen: string[] = [];

  private constructor(
    readonly world: World,
    readonly api: EchoApi,
  ) {}

  static async make(options: Parameters<typeof World.make>[0] = {}): Promise<McpWorld> {
    return new McpWorld(await World.make(options), await EchoApi.start());
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    for (const child of this.#children) {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
    await this.world.close();
    await this.api.stop();
  }

  get environment(): Record<string, string> {
    return { PATH: process.env["PATH"] ?? "", NEXUS_DATA_DIR: this.world.place.config.dataDir };
  }

  /** A client of the SDK that is connected. */
  async client(options: McpClientOptions): Promise<McpClient> {
    const flags = ["--user", "ada", ...(options.flags ?? [])];
    const transport = await (options.transport === "stdio" ? this.#stdio(flags) : this.#http(flags, options));
    const mode = options.revision === "2025-11-25" ? "legacy" : { pin: options.revision };
    const { onLink } = options;
    const client = new Client(
      { name: "test", version: "1" },
      { versionNegotiation: { mode }, capabilities: onLink ? { elicitation: { url: {} } } : {} },
    );
    if (onLink) {
      client.setRequestHandler("elicitation/create", async ({ params }) => {
        if (params.mode !== "url") throw new Error("not a link");
        return { action: onLink(params.url, params.message) };
      });
    }
    const made = new McpClient(client);
    client.setNotificationHandler(
      "notifications/message",
      ({ params }) => void made.logged.push(params.data),
    );
    client.setNotificationHandler("notifications/elicitation/complete", ({ params }) => {
      made.completed.push(params.elicitationId);
    });
    await client.connect(transport);
    const { onmessage } = transport;
    transport.onmessage = (...given: Parameters<NonNullable<typeof onmessage>>) => {
      this.seen.push(JSON.stringify(given[0]));
      onmessage?.apply(transport, given);
    };
    this.#clients.push(made);
    return made;
  }

  /** Starts `nexusd mcp --listen` and answers its URL, or the address of its socket. */
  listen(flags: readonly string[], address = "127.0.0.1:0"): Promise<string> {
    return this.listenWith(["--listen", address, ...flags]);
  }

  async listenWith(flags: readonly string[]): Promise<string> {
    const args = [main, "mcp", ...flags];
    const child = spawn(process.execPath, args, {
      env: this.environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#children.push(child);
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      this.seen.push(part);
    });
    for (;;) {
      const [, url] = /MCP at (\S+)/.exec(text) ?? [];
      if (url !== undefined) return url;
      if (child.exitCode !== null) throw new Error(`nexusd mcp ended with ${child.exitCode}: ${text}`);
      await Promise.race([once(child.stderr, "data"), once(child, "exit")]);
    }
  }

  /** How a host starts the server. */
  stdioCommand(flags: readonly string[]) {
    return { command: process.execPath, args: [main, "mcp", ...flags], env: this.environment };
  }

  #stdio(flags: readonly string[]): StdioClientTransport {
    const transport = new StdioClientTransport({ ...this.stdioCommand(flags), stderr: "pipe" });
    transport.stderr?.on("data", (part: Buffer) => this.seen.push(part.toString("utf8")));
    return transport;
  }

  /** One server for all clients of the same flags. */
  #shared(flags: readonly string[]): Promise<string> {
    const key = flags.join(" ");
    const listening = this.#listening.get(key) ?? this.listen(flags);
    this.#listening.set(key, listening);
    return listening;
  }

  async #http(
    flags: readonly string[],
    { key, url }: McpClientOptions,
  ): Promise<StreamableHTTPClientTransport> {
    const at = new URL(url ?? (await this.#shared(flags)));
    const authorization = `Bearer ${key ?? this.world.place.apiKey}`;
    return new StreamableHTTPClientTransport(at, { requestInit: { headers: { authorization } } });
  }
}

/** A connected client, and what it was told beside its answers. */
export class McpClient {
  readonly logged: unknown[] = [];
  /** Ids of elicitations whose end was told. */
  readonly completed: string[] = [];

  constructor(readonly client: Client) {}

  close(): Promise<void> {
    return this.client.close();
  }

  async tools(): Promise<string[]> {
    return (await this.client.listTools()).tools.map(({ name }) => name);
  }

  async call(
    name: string,
    given: Record<string, unknown> = {},
    options: Parameters<Client["callTool"]>[1] = {},
  ): Promise<CallToolResult> {
    return (await this.client.callTool({ name, arguments: given }, options)) as CallToolResult;
  }

  /** The answer of a tool that succeeds, as data. */
  async data(name: string, given: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const result = await this.call(name, given);
    if (result.isError || result.structuredContent === undefined) throw new Error(textOf(result));
    return result.structuredContent as Record<string, unknown>;
  }

  /** What a tool answers as text, be it an error or not. */
  async text(name: string, given: Record<string, unknown> = {}): Promise<string> {
    return textOf(await this.call(name, given));
  }
}

export function textOf({ content }: CallToolResult): string {
  return content.map((part) => (part.type === "text" ? part.text : `(${part.type})`)).join("\n\n");
}
