import { pathToFileURL } from "node:url";
import { consent } from "../../../fakes/browser.js";
import type { Results } from "../../../suites/results.js";
import type { McpWorld } from "../daemon/mcp_world.js";
import type { Suite } from "./suite.js";

/** What is used of the SDK's version 1, whose types are not installed here. */
interface ClassicClient {
  connect(transport: object): Promise<void>;
  listTools(): Promise<{ tools: { name: string }[] }>;
  callTool(
    call: object,
    schema?: undefined,
    options?: { timeout: number },
  ): Promise<{ isError?: boolean; content: { text?: string }[] }>;
  setRequestHandler(schema: object, handler: (request: { params: { url: string } }) => Promise<object>): void;
  close(): Promise<void>;
}

/** The parts of the SDK, by their files. */
async function classicSdk(suite: Suite) {
  const read = async (name: string) =>
    (await import(pathToFileURL(suite.file(`@modelcontextprotocol/sdk/dist/esm/${name}.js`)).href)) as Record<
      string,
      never
    >;
  const [client, stdio, http, types] = await Promise.all(
    ["client/index", "client/stdio", "client/streamableHttp", "types"].map(read),
  );
  return {
    Client: client?.["Client"] as unknown as new (info: object, options: object) => ClassicClient,
    Stdio: stdio?.["StdioClientTransport"] as unknown as new (server: object) => object,
    Http: http?.["StreamableHTTPClientTransport"] as unknown as new (url: URL, options: object) => object,
    elicitation: types?.["ElicitRequestSchema"] as unknown as object,
  };
}

/** The whole way of a host over both transports: list, connect by a link that it shows or not, call, and no secret anywhere. */
export async function playClassicClient(
  suite: Suite,
  mcp: McpWorld,
  results: Results,
  columns: Set<string>,
): Promise<void> {
  const { Client, Stdio, Http, elicitation } = await classicSdk(suite);
  const { command, args, env } = mcp.stdioCommand(["--user", "ada"]);
  const url = new URL(await mcp.listen(["--user", "ada"]));
  const authorization = `Bearer ${mcp.world.place.apiKey}`;
  const transports = {
    stdio: () => new Stdio({ command, args, env, stderr: "ignore" }),
    http: () => new Http(url, { requestInit: { headers: { authorization } } }),
  };
  for (const [column, open] of Object.entries(transports)) {
    columns.add(column);
    for (const shows of [true, false]) {
      const row = `sdk 1.x client, ${shows ? "shows links" : "shows no links"}`;
      await results.check(row, column, async () => {
        const provider = `classic-${column}-${shows}`;
        const id = await mcp.world.register(provider);
        const update = {
          provider: { id, apiBaseUrl: mcp.api.origin },
          updateMask: { paths: ["api_base_url"] },
        };
        await mcp.world.clients.providers.updateProvider(update);
        const client = new Client(
          { name: "classic", version: "1" },
          { capabilities: shows ? { elicitation: { url: {} } } : {} },
        );
        if (shows) {
          client.setRequestHandler(elicitation, async ({ params }) => {
            void consent(mcp.world.browser, params.url);
            return { action: "accept" };
          });
        }
        await client.connect(open());
        try {
          await playHost(client, mcp, { provider, shows });
        } finally {
          await client.close();
        }
      });
    }
  }
}

async function playHost(
  client: ClassicClient,
  mcp: McpWorld,
  { provider, shows }: { readonly provider: string; readonly shows: boolean },
): Promise<void> {
  const seen: string[] = [];
  const call = async (name: string, given: object): Promise<string> => {
    const result = await client.callTool({ name, arguments: given }, undefined, { timeout: 60_000 });
    const text = result.content.map((part) => part.text ?? "").join("\n");
    seen.push(JSON.stringify(result));
    if (result.isError) throw new Error(`${name}: ${text}`);
    return text;
  };
  const { tools } = await client.listTools();
  mustContain(
    tools.map(({ name }) => name).join(),
    "list_providers,list_connections,connection_status,connect,call_api",
  );
  mustContain(await call("list_providers", {}), provider);
  const answer = await call("connect", { provider });
  if (shows) mustContain(answer, '"status": "connected"');
  else {
    const { auth_url: link } = JSON.parse(answer) as { auth_url: string };
    await consent(mcp.world.browser, link);
  }
  mustContain(await call("connection_status", { provider, wait_seconds: 10 }), '"status": "active"');
  mcp.api.answer = (response, { headers }) =>
    response.writeHead(200, { "content-type": "text/plain" }).end(headers.authorization);
  mustContain(await call("call_api", { provider, path: "/user" }), "[redacted]");
  const { token } = await mcp.world.clients.tokens.getToken({
    name: { providerName: provider, userId: "ada", label: "" },
  });
  const secrets = Object.values(token?.credentials ?? {});
  if (secrets.length === 0) throw new Error("there is no token to look for");
  if (secrets.some((secret) => seen.join("\n").includes(secret)))
    throw new Error("an answer holds the token");
}

function mustContain(text: string, part: string): void {
  if (!text.includes(part)) throw new Error(`${JSON.stringify(part)} is not in ${text.slice(0, 500)}`);
}
