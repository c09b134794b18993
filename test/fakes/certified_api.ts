import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureServer, type Http2ServerRequest } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { onTestFinished, vi } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { Authority } from "./certificates.js";

/** An API over TLS on this machine that no client without a certificate of its authority reaches, and answers with whose that is. */
export class CertifiedApi {
  readonly #sockets = new Set<Socket>();
  /** Whose certificates it accepted, one for each connection. */
  readonly shown: string[] = [];
  /** The keys that requests brought in `X-API-Key`. */
  readonly keys: unknown[] = [];
  readonly #server;

  private constructor(
    readonly clients: Authority,
    /** PEM: signs the API's own certificate. */
    readonly ca: string,
    pair: { readonly cert: string; readonly key: string },
  ) {
    const asking = { requestCert: true, rejectUnauthorized: true, ca: clients.pem };
    this.#server = createSecureServer({ ...pair, ...asking, allowHTTP1: true }, (...given) => {
      const [request, response] = given as unknown as [IncomingMessage | Http2ServerRequest, ServerResponse];
      this.keys.push(request.headers["x-api-key"]);
      response.end(nameOf(request.socket));
    });
    this.#server.on("upgrade", (_, socket: Duplex) => {
      const head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
      socket.end(head + nameOf(socket));
    });
    this.#server.on("connection", (socket: Socket) => this.#sockets.add(socket));
    this.#server.on("secureConnection", (socket) => void this.shown.push(nameOf(socket)));
  }

  static async start(): Promise<CertifiedApi> {
    const issuer = new Authority("Certified API");
    const pair = issuer.issueServer({ dns: ["localhost", "api.localhost"] });
    const api = new CertifiedApi(new Authority("Clients"), issuer.pem, pair);
    await once(api.#server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  /** For one test whose own process calls it: it does not trust the API's authority, which is not what is tested. */
  static async forTest(): Promise<CertifiedApi> {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const api = await CertifiedApi.start();
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await api.close();
    });
    return api;
  }

  /** A profile of it. */
  get profile() {
    const apiBaseUrl = `https://localhost:${this.port}`;
    return { name: "bank", authType: AuthType.API_KEY, apiBaseUrl, credentialSchema: certifiedSchema };
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The fields of a credential that it accepts. */
  fieldsOf(name: string): Record<"api_key" | "tls_client_certificate" | "tls_client_key", string> {
    const { cert, key } = this.clients.issue({ subject: [["CN", name]] });
    return { api_key: `key-of-${name}`, tls_client_certificate: cert, tls_client_key: key };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A profile asks for these beside its key. */
export const certifiedSchema = {
  type: "object",
  properties: Object.fromEntries(
    ["api_key", "tls_client_certificate", "tls_client_key"].map((name) => [name, { type: "string" }]),
  ),
  required: ["api_key"],
};

function nameOf(socket: unknown): string {
  return (socket as TLSSocket).getPeerX509Certificate?.()?.subject.replace(/^CN=/, "") ?? "nobody";
}
