import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { join } from "node:path";
import { create, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type Connection,
  ConnectionSchema,
  type ConnectionService,
} from "../../src/gen/nexus/v1/connection_pb.js";
import { type Provider, ProviderSchema, type ProviderService } from "../../src/gen/nexus/v1/provider_pb.js";
import type { TokenService, WatchTokensResponseSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { allServices } from "../all_clients.js";
import { temporaryFolder } from "../temporary_folder.js";
import { startMs } from "./fake_shell.js";

export const providerId = "11111111-1111-4111-8111-111111111111";
export const connectionId = "22222222-2222-4222-8222-222222222222";
export const redirectUri = "http://localhost:8080/auth/callback/github";

export type WatchEvents = AsyncIterable<MessageInitShape<typeof WatchTokensResponseSchema>>;
type Watch = (request: Parameters<ServiceImpl<typeof TokenService>["watchTokens"]>[0]) => WatchEvents;

type Api = {
  -readonly [Name in keyof typeof allServices]?: Partial<ServiceImpl<(typeof allServices)[Name]>> | undefined;
};

/** Services over gRPC on a Unix socket, with answers that tests set. */
export class FakeDaemon {
  readonly #folder = temporaryFolder();
  readonly #sessions = new Set<ServerHttp2Session>();
  #server: Http2Server | undefined;

  readonly providers: Provider[] = [];
  readonly connections: Connection[] = [];
  /** Names of the catalogue. */
  readonly templates: string[] = [];
  /** Requests in the order in which they came. */
  readonly requests: { method: string; message: unknown; authorization: string | null }[] = [];
  /** Thrown by the method of this name. */
  readonly failures = new Map<string, ConnectError>();
  /** Of CreateProvider. */
  warnings: readonly string[] = [];
  /** Whom the key of the caller is for; empty for everybody. */
  usersOfKey: readonly string[] = [];
  /** What is answered instead, by service. */
  api: Api = {};
  watch: Watch = async function* () {};

  get socketPath(): string {
    return join(this.#folder, "nexus.sock");
  }

  /** The environment in which a command finds this daemon. */
  get env(): Record<string, string> {
    return { NEXUS_DATA_DIR: this.#folder };
  }

  /** @param listen where, if not on the socket in the data folder; answers the port */
  async start(listen: "unix" | "tcp" = "unix"): Promise<number> {
    const handler = connectNodeAdapter({
      routes: (router) => {
        const own: Api = {
          providers: this.#providerService(),
          connections: this.#connectionService(),
          tokens: { watchTokens: (request) => this.watch(request) },
          access: {
            whoAmI: () => ({ principal: "key:a", restrictions: [{ userIds: [...this.usersOfKey] }] }),
          },
        };
        for (const name of Object.keys(allServices) as (keyof Api)[])
          router.service(allServices[name] as DescService, { ...own[name], ...this.api[name] } as object);
      },
      interceptors: [
        (next) => async (request) => {
          const method = request.method.name;
          const message = request.stream ? undefined : request.message;
          const authorization = request.header.get("authorization");
          this.requests.push({ method, message, authorization });
          const failure = this.failures.get(method);
          if (failure) throw failure;
          return await next(request);
        },
      ],
    });
    const server = createServer(handler);
    server.on("session", (session: ServerHttp2Session) => this.#sessions.add(session));
    if (listen === "unix") server.listen(this.socketPath);
    else server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    const address = server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    const server = this.#server;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  addProvider(fields: MessageInitShape<typeof ProviderSchema> = {}): Provider {
    const provider = create(ProviderSchema, { id: providerId, name: "github", ...fields });
    this.providers.push(provider);
    return provider;
  }

  addConnection(fields: MessageInitShape<typeof ConnectionSchema> = {}): Connection {
    const connection = create(ConnectionSchema, {
      id: connectionId,
      userId: "alice",
      providerId,
      providerName: "github",
      createdAt: timestampFromMs(startMs),
      ...fields,
    });
    this.connections.push(connection);
    return connection;
  }

  /** The messages that a method got. */
  got<Message>(method: string): Message[] {
    return this.requests
      .filter((request) => request.method === method)
      .map(({ message }) => message as Message);
  }

  #providerService(): ServiceImpl<typeof ProviderService> {
    return {
      listProviderTemplates: ({ namePrefix }) => ({
        templates: this.templates.filter((name) => name.startsWith(namePrefix)).map((name) => ({ name })),
      }),
      createProvider: ({ provider }) => ({
        provider: this.addProvider({ name: provider?.name ?? "" }),
        redirectUri,
        warnings: [...this.warnings],
      }),
      getProvider: ({ key }) => ({
        provider: this.#find(this.providers, (one) => one.id === key.value || one.name === key.value),
        redirectUri,
      }),
      listProviders: ({ pageToken }) => onePage(this.providers, pageToken, "providers"),
      updateProvider: ({ provider }) => ({
        redirectUri,
        provider: { ...this.#find(this.providers, (one) => one.id === provider?.id) },
      }),
      deleteProvider: () => ({ remainingConnections: 2 }),
    };
  }

  #connectionService(): Pick<
    ServiceImpl<typeof ConnectionService>,
    "getConnection" | "listConnections" | "revokeConnection" | "deleteConnection"
  > {
    const find = (id: string): Connection => this.#find(this.connections, (one) => one.id === id);
    return {
      getConnection: ({ connectionId: id, name }) => ({
        connection: name
          ? this.#find(
              this.connections,
              ({ providerName, userId, label }) =>
                providerName === name.providerName.toLowerCase() &&
                userId === name.userId &&
                label === name.label,
            )
          : find(id),
      }),
      listConnections: ({ pageToken, idPrefix }) =>
        idPrefix === ""
          ? onePage(this.connections, pageToken, "connections")
          : { connections: this.connections.filter(({ id }) => id.startsWith(idPrefix)) },
      revokeConnection: (request) => ({ connection: find(request.connectionId) }),
      deleteConnection: (request) => {
        find(request.connectionId);
        return {};
      },
    };
  }

  #find<Item>(items: readonly Item[], isIt: (item: Item) => boolean): Item {
    const item = items.find(isIt);
    if (!item) throw new ConnectError("not found", Code.NotFound);
    return item;
  }
}

/** One item a page, so that every list is read over its pages. */
function onePage<Name extends string, Item>(items: readonly Item[], pageToken: string, name: Name) {
  const index = Number(pageToken || 0);
  const nextPageToken = index + 1 < items.length ? String(index + 1) : "";
  return { [name]: items.slice(index, index + 1), nextPageToken } as Record<Name, Item[]> & {
    nextPageToken: string;
  };
}
