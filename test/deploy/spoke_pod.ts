import { readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { HubPod, HubsWorld } from "./hubs_world.js";
import { agentOf } from "./manifests.js";
import { Pod, type Running } from "./pod.js";
import { placesOf, untilStarted } from "./pod_start.js";
import { usageOf } from "./usage.js";

/** The Service of the hubs: a connection goes to one of those that run, and stays there. */
export class HubsService {
  readonly #server: Server;
  readonly #links = new Map<Socket, HubPod>();

  private constructor(private readonly world: Pick<HubsWorld, "hubs">) {
    this.#server = createServer((client) => {
      const hub = this.world.hubs.find(({ running }) => running !== undefined);
      if (!hub) return client.destroy();
      const server = connect(8443, hub.pod.address);
      this.#links.set(client, hub);
      for (const socket of [client, server])
        socket
          .on("error", () => undefined)
          .on("close", () => {
            this.#links.delete(client);
            client.destroy();
            server.destroy();
          });
      return client.pipe(server).pipe(client);
    });
  }

  static async of(world: HubsWorld): Promise<HubsService> {
    const service = new HubsService(world);
    await new Promise<void>((resolve) => service.#server.listen(443, world.serviceAddress, resolve));
    return service;
  }

  /** The hubs that somebody is connected to. */
  get used(): HubPod[] {
    return [...new Set(this.#links.values())];
  }

  close(): void {
    this.#server.close();
  }
}

let pods = 0;

/** A pod of the example with a spoke, in the cluster of the hubs. */
export class SpokePod {
  readonly pod: Pod;
  #running: Running | undefined;

  constructor(
    private readonly world: HubsWorld,
    private readonly subject: string,
  ) {
    const token = (audience?: string): string => world.tokenOf(subject, audience);
    this.pod = new Pod(agentOf("spoke", world.objects), {
      address: `127.0.0.${31 + pods++}`,
      hosts: world.hosts(),
      token,
    });
  }

  async start(): Promise<void> {
    const { pod } = this;
    this.#running = pod.start(pod.nexusd, { env: placesOf(pod) });
    await untilStarted(pod, this.#running);
  }

  /** Of memory, while it runs. */
  async residentBytes(): Promise<number> {
    if (!this.#running) throw new Error("it does not run");
    return usageOf(await this.#running.pid).residentBytes;
  }

  async kill(): Promise<void> {
    await this.#running?.kill();
  }

  async probed(probe: "livenessProbe" | "startupProbe"): Promise<number | undefined> {
    const { nexusd } = this.pod;
    const asked = nexusd[probe];
    return asked && (await this.pod.probe(nexusd, asked));
  }

  /** What the agent's container gets for a connection at the socket. @throws Error with what it is told instead */
  token(connectionId: string): Promise<string> {
    return said(this.pod.start(this.pod.agent, { args: ["token", connectionId] }));
  }

  /** What `kubectl exec` would print. @throws Error with the same, when it fails */
  command(...args: string[]): Promise<string> {
    return said(this.pod.start(this.pod.nexusd, { args }));
  }

  /** The kubelet puts another token into the pod. */
  rotate(subject = this.subject): void {
    const place = this.pod.spec.volumes.find(({ name }) => name === "nexusd-place")?.projected;
    const source = place?.sources.find(({ serviceAccountToken }) => serviceAccountToken)?.serviceAccountToken;
    if (!source) throw new Error("the pod has no token");
    const folder = this.pod.pathOf("nexusd-place");
    const kept = ["policy.yaml", "ca.crt"].map((name) => [name, readFileSync(join(folder, name), "utf8")]);
    const token = this.world.tokenOf(subject, source.audience);
    this.pod.update("nexusd-place", { ...Object.fromEntries(kept), [source.path]: token });
  }
}

async function said(running: Running): Promise<string> {
  if ((await running.exited) !== 0) throw new Error(running.output);
  return running.output.trim();
}
