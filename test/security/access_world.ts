import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import { NexusService } from "../../src/gen/nexus/v1/nexus_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { clientsOver as contractClients } from "../all_clients.js";
import { Place, TestDaemon } from "../daemon/harness.js";
import { registered } from "../daemon/requests.js";
import { RestClient } from "../daemon/rest_client.js";
import { freePort } from "../free_port.js";

export type Clients = ReturnType<typeof clientsOver>;

export const clientsOver = (transport: Transport) => ({
  ...contractClients(transport),
  nexus: createClient(NexusService, transport),
});

function withKey(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
}

export interface Wanted {
  readonly role?: Role;
  readonly userIds?: string[];
  readonly providers?: string[];
  readonly connectionIds?: string[];
  readonly expiresAtMs?: number;
}

/** A daemon with two providers of static keys and three connections, and callers with keys at its TCP listeners. */
export class AccessWorld extends TestDaemon {
  /** With the key that the daemon makes when it starts. */
  admin!: Clients;
  readonly providers: Record<"github" | "slack", string> = { github: "", slack: "" };
  readonly connections: Record<"adaGithub" | "adaSlack" | "bobGithub", string> = {
    adaGithub: "",
    adaSlack: "",
    bobGithub: "",
  };
  #names = 0;

  private constructor(
    place: Place,
    readonly grpcUrl: string,
  ) {
    super(place);
  }

  static async make(environment: NodeJS.ProcessEnv = {}): Promise<AccessWorld> {
    const port = await freePort();
    const place = await Place.make({ NEXUS_GRPC_LISTEN: `127.0.0.1:${port}`, ...environment });
    const world = new AccessWorld(place, `http://127.0.0.1:${port}`);
    await world.start();
    world.admin = world.grpc(place.apiKey);
    const strategy = { kind: { case: "header", value: { headerName: "Authorization" } } } as const;
    for (const name of ["github", "slack"] as const) {
      world.providers[name] = await registered(world.admin, { name, authType: AuthType.API_KEY, strategy });
    }
    world.connections.adaGithub = await world.import("ada", "github");
    world.connections.adaSlack = await world.import("ada", "slack");
    world.connections.bobGithub = await world.import("bob", "github");
    return world;
  }

  async import(userId: string, provider: "github" | "slack"): Promise<string> {
    const { connection } = await this.admin.connections.importConnection({
      userId,
      providerId: this.providers[provider],
      credentials: { api_key: `secret-of-${userId}` },
    });
    return connection?.id ?? "";
  }

  async key(wanted: Wanted, name = `key-${++this.#names}`): Promise<string> {
    const { role = Role.AGENT, userIds = [], providers = [], connectionIds = [], expiresAtMs } = wanted;
    const { key } = await this.admin.access.createApiKey({
      name,
      role,
      ...(role === Role.AGENT && { restriction: { userIds, providers, connectionIds } }),
      ...(expiresAtMs !== undefined && {
        expiresAt: {
          seconds: BigInt(Math.floor(expiresAtMs / 1000)),
          nanos: (expiresAtMs % 1000) * 1_000_000,
        },
      }),
    });
    return key;
  }

  grpc(key: string): Clients {
    return clientsOver(createGrpcTransport({ baseUrl: this.grpcUrl, interceptors: [withKey(key)] }));
  }

  connect(key: string): Clients {
    const baseUrl = this.place.httpUrl;
    return clientsOver(createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [withKey(key)] }));
  }

  rest(key: string): Promise<RestClient> {
    return RestClient.connect(this.place.httpUrl, key);
  }

  /** The whole answer to a Connect call with a JSON body, but for the date. */
  async raw(key: string, rpc: string, body: object): Promise<string> {
    const response = await fetch(`${this.place.httpUrl}/nexus.v1.${rpc}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const headers = [...response.headers].filter(([name]) => name !== "date");
    return JSON.stringify([response.status, headers, await response.text()]);
  }

  /** The same of a REST route. */
  async rawRest(key: string, method: string, path: string, body?: object): Promise<string> {
    const response = await fetch(this.place.httpUrl + path, {
      method,
      headers: { "x-api-key": key, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const headers = [...response.headers].filter(([name]) => name !== "date");
    return JSON.stringify([response.status, headers, await response.text()]);
  }
}
