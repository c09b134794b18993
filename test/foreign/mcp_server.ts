import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, missingPrograms } from "./cache.js";
import { type Command, download, run, ServerProcess } from "./server_process.js";

/** An MCP server that a team elsewhere wrote, with its own authorization server: it registers clients, and keeps all in memory. */
export interface ForeignMcpServer {
  readonly name: string;
  /** It ends all grants when it is asked to by `POST /end`. */
  readonly endsGrants?: boolean;
  /** Names what is not on this machine and cannot be installed without root. */
  missing(): readonly string[];
  /** Installs what needs no root. Nothing else runs meanwhile. */
  install(): Promise<void>;
  /** @param port where it is to listen on 127.0.0.1 @param origin where the world believes it to be */
  start(port: number, origin: string): Promise<ServerProcess>;
}

const source = join(import.meta.dirname, "mcp");
const packages = () => cached("mcp-node");
const environment = () => cached("mcp-python");
const python = () => join(environment(), "bin/python");

/** Unless what `list` says is installed already. */
async function installed(folder: string, list: string, install: () => Promise<void>): Promise<void> {
  const mark = join(folder, "installed.txt");
  const wanted = readFileSync(join(source, list), "utf8");
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return;
  await install();
  writeFileSync(mark, wanted);
}

async function started(command: Pick<Command, "path" | "args">, port: number): Promise<ServerProcess> {
  const up = `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp`;
  return await ServerProcess.start({ ...command, folder: cached(".") }, up);
}

function byPython(name: string, kind: string): ForeignMcpServer {
  return {
    name,
    missing: () => missingPrograms({ python3: "Debian's python3, with python3-venv" }),
    install: () =>
      installed(environment(), "requirements.txt", async () => {
        await run({ path: "python3", args: ["-m", "venv", environment()], folder: source });
        const quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        await download({ path: python(), args: [...quiet, "-r", "requirements.txt"], folder: source });
      }),
    start: (port, origin) =>
      started({ path: python(), args: [join(source, "mcp_server.py"), kind, String(port), origin] }, port),
  };
}

function byNode(name: string, script: string): ForeignMcpServer {
  return {
    name,
    missing: () => missingPrograms({ npm: "npm, which comes with Node" }),
    install: () =>
      installed(packages(), "package.json", async () => {
        mkdirSync(packages(), { recursive: true });
        copyFileSync(join(source, "package.json"), join(packages(), "package.json"));
        const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
        await download({ path: "npm", args, folder: packages() });
      }),
    start: (port, origin) => {
      // Where its imports are found.
      copyFileSync(join(source, script), join(packages(), script));
      return started(
        { path: process.execPath, args: [join(packages(), script), String(port), origin] },
        port,
      );
    },
  };
}

export const mcpServers: readonly ForeignMcpServer[] = [
  byPython("MCP Python SDK", "sdk"),
  byPython("fastmcp", "fastmcp"),
  byNode("workers-oauth-provider", "worker.mjs"),
  byNode("better-auth", "better_auth.mjs"),
  { ...byNode("@jmondi/oauth2-server", "jmondi.mjs"), endsGrants: true },
];
