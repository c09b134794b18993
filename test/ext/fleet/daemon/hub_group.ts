import { randomBytes } from "node:crypto";
import { ConnectError } from "@connectrpc/connect";
import type { DaemonAt } from "../../../daemon/daemon_at.js";
import { Place } from "../../../daemon/harness.js";
import { consented, registeredAt, requestOf } from "../../../daemon/requests.js";
import type { DatabaseServer } from "../../../fakes/database_server.js";
import type { OpenIdProvider } from "../../../fakes/openid_provider.js";
import type { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { freePort } from "../../../free_port.js";

/** For tests in which a lease runs out. A busy machine holds up a leader for longer than a shorter one. */
export const shortLease = { NEXUS_FLEET_LEASE_SECONDS: "5" };

/**
 * Asks as a client does: once more where the leader went away amid the request, which may have been acted on. Only for what may be
 * done twice.
 */
export async function askedAgain<T>(request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!ConnectError.from(error).rawMessage.includes("look whether the request was acted on")) throw error;
    }
  }
}

export interface HubsOptions {
  readonly count: number;
  /** More settings of every hub. */
  readonly environment?: NodeJS.ProcessEnv;
  /** And of each by itself. */
  readonly own?: (index: number) => NodeJS.ProcessEnv;
}

/** A database and hubs on it. */
export class HubGroup<OneHub extends DaemonAt, Server extends DatabaseServer> {
  protected constructor(
    readonly postgres: Server,
    protected readonly balancer: TcpProxy,
    readonly all: readonly OneHub[],
  ) {}

  protected static async places(
    postgres: DatabaseServer,
    balancer: TcpProxy,
    { count, environment = {}, own = () => ({}) }: HubsOptions,
  ): Promise<Place[]> {
    const shared = {
      NEXUS_STORE: postgres.url(),
      NEXUS_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
      NEXUS_PUBLIC_URL: `http://localhost:${balancer.port}`,
      NEXUS_MAX_REJECTIONS_PER_HOUR: "3600",
      ...environment,
    };
    const all: Place[] = [];
    for (let index = 0; index < count; index++) {
      const listen = { NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}` };
      all.push(await Place.make({ ...shared, ...listen, ...own(index) }));
    }
    return all;
  }

  /** The hub that leads, as soon as one does and all others of those given know it. */
  async leader(among: readonly OneHub[] = this.all): Promise<OneHub> {
    for (let tries = 0; tries < 600; tries++) {
      const seen = await Promise.all(
        among.map(async ({ clients }) => {
          try {
            return (await clients.status.getStatus({})).fleet;
          } catch {
            return undefined;
          }
        }),
      );
      const addresses = new Set(seen.map((fleet) => fleet?.leader ?? ""));
      const leading = seen.findIndex((fleet) => fleet?.role === 3);
      if (leading >= 0 && addresses.size === 1) return among[leading] as OneHub;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("no hub leads");
  }

  /** The hub that leads, and one that follows it. */
  async pair(): Promise<{ readonly leader: OneHub; readonly follower: OneHub }> {
    const leader = await this.leader();
    const follower = this.all.find((hub) => hub !== leader);
    if (follower === undefined) throw new Error("a fleet of one hub has no follower");
    return { leader, follower };
  }

  /** What a browser asks from now on is answered by this hub. */
  async balance(hub: OneHub): Promise<void> {
    this.balancer.target = Number(hub.environment["NEXUS_BROWSER_LISTEN"]?.split(":")[1]);
    this.balancer.reset();
    // Connections that were kept are found to be closed.
    const url = hub.environment["NEXUS_PUBLIC_URL"] ?? "";
    while (!(await fetch(url).catch(() => undefined))?.ok);
  }

  /** Registers the provider, and consents to a connection there; answers its id. Pages are those of the leader from then on. */
  async connected(provider: OpenIdProvider): Promise<string> {
    const leader = await this.leader();
    await this.balance(leader);
    await registeredAt(provider, leader.clients);
    return await consented(leader.clients, requestOf("op"));
  }
}
