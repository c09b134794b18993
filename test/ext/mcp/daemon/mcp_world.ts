import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type CallToolResult, Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { run } from "../../../../src/cli/program.js";
import type { Shell } from "../../../../src/cli/shell/shell.js";
import { McpHttpServer } from "../../../../src/ext/mcp/http_server.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { Place, World } from "../../../daemon/harness.js";
import { ScriptedApi } from "../../../fakes/scripted_api.js";

const { listen } = McpHttpServer;
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

/** A live daemon with an OpenID provider, an API, and hosts of `nexusd mcp`, which runs in this process. */
export class McpWorld {
  readonly #servers: McpHttpServer[] = [];
  readonly #clients: McpClient[] = [];
  readonly #listening = new Map<string, Promise<string>>();
  /** Every message and every line that clients and hosts got, to be searched for secrets. */
  readonly seen: string[] = [];

  private constructor(
    readonly world: World,
    readonly api: ScriptedApi,
  ) {}

  static async make(
    options: Parameters<typeof World.make>[0] = {},
    environment: NodeJS.ProcessEnv = {},
  ): Promise<McpWorld> {
    const world = await World.make(options, await Place.make(environment));
    const made = new McpWorld(world, await ScriptedApi.start());
    const json = { "content-type": "application/json" };
    made.api.answer = (response) => void response.writeHead(200, json).end('{"login":"ada"}');
    // The command serves until its process ends.
    McpHttpServer.listen = async (given) => {
      const server = await listen.call(McpHttpServer, given);
      made.#servers.push(server);
      return server;
    };
    return made;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    McpHttpServer.listen = listen;
    await Promise.all(this.#servers.map((server) => server.close()));
    await this.world.close();
    await this.api.close();
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
    let text = "";
    return await new Promise<string>((resolve, reject) => {
      const shell = this.#shell((part) => {
        text += part;
        const [, url] = /MCP at (\S+)/.exec(text) ?? [];
        if (url !== undefined) resolve(url);
      });
      void run(["mcp", ...flags], shell).then((code) => reject(new Error(`ended with ${code}: ${text}`)));
    });
  }

  /** How a host starts the server as a process of its own. */
  stdioCommand(flags: readonly string[]) {
    return { command: process.execPath, args: [main, "mcp", ...flags], env: this.environment };
  }

  /** The transport of the server is that of a client whose streams are the other way round. */
  #stdio(flags: readonly string[]): StdioServerTransport {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const shell = this.#shell(() => undefined);
    void run(["mcp", ...flags], { ...shell, openStandardStreams: () => ({ input, output }) });
    const transport = new StdioServerTransport(output, input);
    const close = transport.close.bind(transport);
    transport.close = async () => {
      input.end();
      await close();
    };
    return transport;
  }

  #shell(onText: (text: string) => void): Shell {
    const shell = fakeShell({ env: this.environment });
    const write = (text: string): void => {
      this.seen.push(text);
      onText(text);
    };
    return { ...shell, clock: new SystemClock(), stderr: { ...shell.stderr, write } };
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
