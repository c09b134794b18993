import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { credentials } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { authenticateBy } from "../../src/domain/access/authenticate.js";
import { TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { ApiListener } from "../../src/server/api/api_listener.js";
import type { TlsPaths } from "../../src/server/tls/tls_files.js";
import { type ClientAuth, ListenerTls } from "../../src/server/tls/tls_listener.js";
import { TlsReloader } from "../../src/server/tls/tls_reloader.js";
import { ApiKey } from "../../src/vault/api_key_file.js";
import { Authority, type Issued } from "../fakes/certificates.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { temporaryFolder } from "../temporary_folder.js";
import { apiKey, FakeServices, noKeys } from "./fake_services.js";
import { GrpcTestClient } from "./grpc_client.js";
import { loopback, opened, portOf } from "./temporary.js";

/** Lines of a log, each with its message. */
export class LogLines {
  readonly lines: ({ message: string } & Record<string, unknown>)[] = [];
  readonly #note = (fields: object, message: string): void => void this.lines.push({ ...fields, message });
  readonly debug = this.#note;
  readonly info = this.#note;
  readonly warn = this.#note;
  readonly error = this.#note;

  /** Those that hold the word. */
  with(word: string): readonly Record<string, unknown>[] {
    return this.lines.filter(({ message }) => message.includes(word));
  }
}

export function writePair(folder: string, { cert, key }: Issued): { certFile: string; keyFile: string } {
  const paths = { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") };
  writeFileSync(paths.certFile, cert);
  writeFileSync(paths.keyFile, key);
  return paths;
}

/** What a client shows of itself. */
export interface Presented {
  readonly identity?: Issued;
  readonly token?: string;
}

/** A grpc and an http listener with TLS, over services that answer the name of who calls. */
export class TlsWorld {
  readonly clock = new ManualClock(Date.now());
  readonly log = new LogLines();
  readonly serverCa = new Authority("Server CA");
  readonly clientCa = new Authority("Client CA");
  readonly folder = temporaryFolder();
  keeper!: TlsReloader;
  grpcPort = 0;
  httpPort = 0;

  static async open(clientAuth: ClientAuth = "optional"): Promise<TlsWorld> {
    const world = new TlsWorld();
    const clientCaFile = join(world.folder, "client-ca.crt");
    writeFileSync(clientCaFile, world.clientCa.pem);
    const paths: TlsPaths = { ...writePair(world.folder, world.serverCa.issueServer()), clientCaFile };
    const { clock, log } = world;
    const keeper = await TlsReloader.load({ ...paths, clock, log });
    onTestFinished(() => keeper.stop());
    world.keeper = keeper;
    const { services, onUnexpected } = new FakeServices();
    const authenticate = authenticateBy({
      adminKey: new ApiKey(apiKey),
      keys: noKeys,
      ownUid: process.getuid?.(),
      nowMs: () => clock.nowMs(),
    });
    const common = {
      services,
      authenticate,
      onUnexpected,
      setting: "NEXUS_X_LISTEN",
      listen: loopback,
      clock,
    };
    const tls = (listener: string) => new ListenerTls({ listener, keeper, clientAuth, log });
    const grpc = await opened(new ApiListener({ ...common, name: "grpc", tls: tls("grpc") }));
    const http = await opened(new ApiListener({ ...common, name: "http", tls: tls("http") }));
    world.grpcPort = portOf(grpc);
    world.httpPort = portOf(http);
    return world;
  }

  /** Whom the grpc listener takes a caller for, by grpc-js. */
  async overGrpc({ identity, token }: Presented = {}): Promise<string | undefined> {
    const client = this.grpcClient({ ...(identity && { identity }), ...(token && { token }) });
    try {
      const { token: answered } = await client.call(
        TokenService.method.getToken,
        { connectionId: "x" },
        5_000,
      );
      return answered?.grantedScopes[1];
    } finally {
      client.close();
    }
  }

  grpcClient({ identity, token }: Presented = {}): GrpcTestClient {
    const ssl = credentials.createSsl(
      Buffer.from(this.serverCa.pem),
      identity && Buffer.from(identity.key),
      identity && Buffer.from(identity.cert),
    );
    const metadata = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return new GrpcTestClient(`localhost:${this.grpcPort}`, metadata, {}, ssl);
  }

  /** Whom the http listener takes a caller for, by connect-node. */
  async overHttp(
    protocol: "1.1" | "2" | "grpc",
    { identity, token }: Presented = {},
  ): Promise<string | undefined> {
    const baseUrl = `https://localhost:${this.httpPort}`;
    const nodeOptions = { ca: this.serverCa.pem, ...identity };
    const transport =
      protocol === "grpc"
        ? createGrpcTransport({ baseUrl, nodeOptions })
        : protocol === "2"
          ? createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions })
          : createConnectTransport({
              baseUrl,
              httpVersion: "1.1",
              nodeOptions: { ...nodeOptions, agent: false },
            });
    const headers = token === undefined ? {} : { "x-api-key": token };
    const answer = await createClient(TokenService, transport).getToken(
      { connectionId: "x" },
      { headers, timeoutMs: 5_000 },
    );
    return answer.token?.grantedScopes[1];
  }

  /** A handshake by hand; rejects with what Node calls the failure. */
  async handshake(options: ConnectionOptions = {}, port = this.grpcPort): Promise<TLSSocket> {
    const socket = connect({
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: this.serverCa.pem,
      ALPNProtocols: ["h2"],
      ...options,
    });
    onTestFinished(() => void socket.destroy());
    await once(socket, "secureConnect");
    socket.on("error", () => undefined);
    return socket;
  }
}
