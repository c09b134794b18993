import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { type Clients, TestDaemon } from "../../../daemon/harness.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { ApiStandIn } from "../api_stand_in.js";
import { ProxyClient } from "../proxy/proxy_client.js";

export const key = "canary-of-listener-4c1d";

/** What a daemon needs to reach the stand-in. */
export function settingsFor(api: ApiStandIn): NodeJS.ProcessEnv {
  const roots = join(temporaryFolder(), "roots.pem");
  writeFileSync(roots, api.ca);
  return {
    NEXUS_EGRESS_LISTEN: "127.0.0.1:0",
    NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
    NODE_EXTRA_CA_CERTS: roots,
  };
}

/** The provider `name` with an API key of Ada's. @returns the id of her connection */
export async function connected(
  clients: Clients,
  { port, host = "api.localhost" }: { readonly port: number; readonly host?: string },
  name = "acme",
): Promise<string> {
  const apiBaseUrl = `https://${host}:${port}/v1`;
  const provider = { name, authType: AuthType.API_KEY, apiBaseUrl };
  const { provider: created } = await clients.providers.createProvider({ provider });
  const credentials = { api_key: key };
  const request = { providerId: created?.id ?? "", userId: "ada", credentials };
  return (await clients.connections.importConnection(request)).connection?.id ?? "";
}

/** A daemon with an egress listener, in this process, before an API. */
export class ListenerWorld {
  private constructor(
    readonly daemon: TestDaemon,
    readonly api: ApiStandIn,
    readonly connectionId: string,
  ) {}

  static async start(more: NodeJS.ProcessEnv = {}): Promise<ListenerWorld> {
    const api = await ApiStandIn.start();
    const daemon = await TestDaemon.start({ ...settingsFor(api), ...more });
    const connectionId = await connected(daemon.clients, api);
    await daemon.caughtUp();
    return new ListenerWorld(daemon, api, connectionId);
  }

  async stop(): Promise<void> {
    await this.daemon.close();
    await this.api.stop();
  }

  get address(): string {
    return this.daemon.daemon.listeners.addresses.egress?.[0] ?? "";
  }

  async ca(): Promise<string> {
    return await (await fetch(`http://${this.address}/ca.pem`)).text();
  }

  /** A program whose proxy is `http://USER:PASSWORD@` this daemon. */
  async program(user: string, password: string): Promise<ProxyClient> {
    return new ProxyClient(
      new URL(`http://${user}:${password}@${this.address}`),
      await this.ca(),
      this.api.port,
    );
  }
}
