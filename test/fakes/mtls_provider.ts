import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Authority, Issued } from "./certificates.js";
import { configure } from "./openid_provider/configuration.js";
import { loadLibrary } from "./openid_provider/library.js";
import { Store } from "./openid_provider/store.js";

/** What a client did at an endpoint. */
export interface MtlsRequest {
  readonly path: string;
  /** SHA-256 of the certificate that it showed; undefined for none. */
  readonly fingerprint: string | undefined;
  readonly status: number;
}

interface Client {
  readonly client_id: string;
  readonly [member: string]: unknown;
}

interface Context {
  readonly req: { readonly socket: unknown };
}

/**
 * A certified authorization server (npm `oidc-provider`) with mutual TLS (RFC 8705) on 127.0.0.1: one port that asks for no certificate,
 * where its metadata are, and one that does, which its `mtls_endpoint_aliases` name.
 */
export class MtlsProvider {
  private constructor(
    /** Signs the certificate of the server, and those of the clients that are registered with `tls_client_auth`. */
    readonly authority: Authority,
    readonly issuer: string,
    readonly requests: MtlsRequest[],
    private readonly servers: readonly Server[],
  ) {}

  /** @param clients as the console of the server would register them */
  static async start(authority: Authority, clients: readonly Client[]): Promise<MtlsProvider> {
    const requests: MtlsRequest[] = [];
    const { cert, key } = authority.issueServer();
    const plain = createServer({ cert, key });
    // Whoever has no certificate, or one of another authority, is judged by the engine.
    const mutual = createServer({
      cert,
      key,
      ca: authority.pem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    const [issuer, alias] = (await Promise.all([plain, mutual].map(opened))) as [string, string];
    const { Provider } = await loadLibrary();
    const store = new Store();
    for (const client of clients) store.put("Client", client.client_id, { ...client });
    const base = await configure({ requirePushedRequests: true }, store);
    const configuration = {
      ...base,
      clientAuthMethods: ["tls_client_auth", "self_signed_tls_client_auth"],
      features: {
        ...base.features,
        mTLS: {
          ...{ enabled: true, certificateBoundAccessTokens: true },
          ...{ selfSignedTlsClientAuth: true, tlsClientAuth: true },
          getCertificate: ({ req }: Context) => certificateOf(req.socket)?.toString(),
          certificateAuthorized: ({ req }: Context) => (req.socket as TLSSocket).authorized,
          certificateSubjectMatches: ({ req }: Context, property: string, expected: string) =>
            property === "tls_client_auth_san_dns" &&
            certificateOf(req.socket)?.subjectAltName === `DNS:${expected}`,
        },
      },
      discovery: {
        mtls_endpoint_aliases: {
          token_endpoint: `${alias}/token`,
          revocation_endpoint: `${alias}/token/revocation`,
          device_authorization_endpoint: `${alias}/device/auth`,
          pushed_authorization_request_endpoint: `${alias}/request`,
        },
      },
    };
    const engine = new Provider(issuer, configuration);
    engine.silent = true;
    const answer = engine.callback();
    for (const server of [plain, mutual]) {
      server.on("request", (request, response) => {
        response.once("finish", () => {
          const fingerprint = certificateOf(request.socket)?.fingerprint256;
          requests.push({ path: request.url ?? "", fingerprint, status: response.statusCode });
        });
        answer(request, response);
      });
    }
    return new MtlsProvider(authority, issuer, requests, [plain, mutual]);
  }

  async close(): Promise<void> {
    for (const server of this.servers) server.closeAllConnections();
    await Promise.all(this.servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function certificateOf(socket: unknown) {
  return (socket as TLSSocket).getPeerX509Certificate?.();
}

async function opened(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The members of a client whose certificate the server knows, but no authority (RFC 8705 section 2.2.2). */
export function selfSignedMembers({ cert }: Issued, publicJwk: object): object {
  const x5c = [cert.replace(/-----[A-Z ]+-----|\s/g, "")];
  return {
    token_endpoint_auth_method: "self_signed_tls_client_auth",
    jwks: { keys: [{ ...publicJwk, x5c }] },
  };
}
