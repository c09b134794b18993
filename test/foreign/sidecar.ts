import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type Connection, ConnectionService } from "../../src/gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../src/gen/nexus/v1/provider_pb.js";
import { type Token, TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { freePort } from "../free_port.js";

/** `nexusd serve` in a folder of its own, which can be killed and started again, and what it answers over gRPC. */
export class Sidecar {
  readonly providers: Client<typeof ProviderService>;
  readonly connections: Client<typeof ConnectionService>;
  readonly tokens: Client<typeof TokenService>;
  #daemon: DaemonProcess | undefined;

  private constructor(
    private readonly folder: string,
    private readonly environment: NodeJS.ProcessEnv,
  ) {
    const nodeOptions = { createConnection: () => connect(join(folder, "nexus.sock")) };
    const transport = createGrpcTransport({ baseUrl: "http://localhost", nodeOptions });
    this.providers = createClient(ProviderService, transport);
    this.connections = createClient(ConnectionService, transport);
    this.tokens = createClient(TokenService, transport);
  }

  static async start(): Promise<Sidecar> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-foreign-"));
    const port = await freePort();
    const sidecar = new Sidecar(folder, {
      NEXUS_DATA_DIR: folder,
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${port}`,
      NEXUS_PUBLIC_URL: `http://localhost:${port}`,
      NEXUS_HTTP_LISTEN: "off",
      NEXUS_OPS_LISTEN: "off",
      NEXUS_LOG_FORMAT: "json",
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
      NEXUS_MAX_REJECTIONS_PER_HOUR: "3600",
    });
    await sidecar.#run();
    return sidecar;
  }

  async #run(): Promise<void> {
    this.#daemon = new DaemonProcess(this.environment);
    await this.#daemon.ready();
  }

  /** As the kernel's out-of-memory killer ends it, and its supervisor starts it again. */
  async killAndRestart(): Promise<void> {
    await this.#daemon?.kill("SIGKILL");
    await this.#run();
  }

  async stop(): Promise<void> {
    await this.#daemon?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  async connection(connectionId: string): Promise<Connection> {
    const { connection } = await this.connections.getConnection({ connectionId });
    if (!connection) throw new Error("no connection in the answer");
    return connection;
  }

  async token(connectionId: string): Promise<Token> {
    const { token } = await this.tokens.getToken({ connectionId });
    if (!token) throw new Error("no token in the answer");
    return token;
  }
}

export function accessTokenOf({ credentials }: Token): string {
  return credentials["access_token"] ?? "";
}

/** The code of the error that a call is to end with. @throws Error when it succeeds */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? "";
  }
  throw new Error("the call succeeded");
}
