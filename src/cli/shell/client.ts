import { connect } from "node:net";
import type { SecureContextOptions } from "node:tls";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type ClientConfig, isPlainRemote } from "../../config/client_config.js";
import { steady } from "../../runtime/steady_sessions.js";
import { usageFailure } from "./command_failure.js";
import { daemonServices } from "./daemon_services.js";
import { readText } from "./files.js";

/** A client of each service of the core. */
type Clients = {
  readonly [Name in keyof typeof daemonServices]: Client<(typeof daemonServices)[Name]>;
};

/** The daemon's services. */
export interface DaemonClient extends Clients {
  /** Where it is, for messages. */
  readonly address: string;
  /** A client of a service that an extension adds. */
  of<Service extends DescService>(service: Service): Client<Service>;
  /** Ends the connection, and with it every stream. */
  close(): void;
}

/** How long a call may take; refreshing a token waits for the provider. Streams have no limit. */
export const callTimeoutMs = 30_000;

/** A path that leads nowhere is noticed in 20 seconds, before the time for a call is over. */
const defaultPings = { pingIntervalMs: 10_000, pingTimeoutMs: 10_000 };

/**
 * Nothing is opened before the first call.
 *
 * @param callerKey the API key of somebody else for whom the calls are made, instead of that of the settings
 */
export function connectDaemon(
  config: ClientConfig,
  warn: (sentence: string) => void,
  callerKey?: string,
  pings = defaultPings,
): DaemonClient {
  const isUnix = config.kind === "unix";
  // The host of a Unix socket is of no use, but HTTP/2 wants one.
  const baseUrl = isUnix ? "http://localhost" : config.url;
  const options = isUnix ? { createConnection: () => connect(config.path) } : tlsOptions(config);
  const sessionManager = steady(new Http2SessionManager(baseUrl, pings, options), pings);
  if (!isUnix && isPlainRemote(config.url)) {
    warn(`the API key and the tokens go to ${config.url} unencrypted`);
  }
  const ownKey = isUnix || config.apiKey === undefined ? undefined : config.apiKey;
  const apiKey = callerKey ?? (ownKey && readApiKey(ownKey));
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    // Compressing what holds secrets beside what others can choose would give its length away.
    acceptCompression: [],
    interceptors: apiKey === undefined ? [] : [withApiKey(apiKey)],
  });
  return {
    ...clientsOver(transport),
    of: (service) => createClient(service, transport),
    address: isUnix ? `unix:${config.path}` : config.url,
    close: () => sessionManager.abort(),
  };
}

function clientsOver(transport: Transport): Clients {
  const clients = Object.entries(daemonServices).map(([name, service]) => [
    name,
    createClient(service, transport),
  ]);
  return Object.fromEntries(clients) as Clients;
}

function withApiKey(apiKey: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${apiKey}`);
    return next(request);
  };
}

type TcpConfig = Extract<ClientConfig, { kind: "tcp" }>;

function tlsOptions({ tls: { caFile, certificate } }: TcpConfig): SecureContextOptions {
  return {
    ...(caFile === undefined ? {} : { ca: readPem("NEXUS_CA_FILE", caFile) }),
    ...(certificate === undefined
      ? {}
      : {
          cert: readPem("NEXUS_CLIENT_CERT_FILE", certificate.certFile),
          key: readPem("NEXUS_CLIENT_KEY_FILE", certificate.keyFile),
        }),
  };
}

function readPem(setting: string, path: string): string {
  const text = readText(path, setting);
  if (!text.includes("-----BEGIN ")) throw usageFailure(`${setting}: ${path} holds no PEM`);
  return text;
}

function readApiKey(apiKey: NonNullable<TcpConfig["apiKey"]>): string {
  if (apiKey.source === "environment") return apiKey.key.reveal();
  const text = readText(apiKey.path, "NEXUS_API_KEY_FILE").trim();
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw usageFailure(
    `NEXUS_API_KEY_FILE: ${apiKey.path} does not hold an API key: one line of printable characters`,
  );
}
