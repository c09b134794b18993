import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { type Clients, clientsOf, Place } from "../../../daemon/harness.js";
import { Authority, type Issued } from "../../../fakes/certificates.js";
import { freePort } from "../../../free_port.js";
import { sweptFolder } from "../../../run_folder.js";
import { temporaryFolder } from "../../../temporary_folder.js";

export const authority = new Authority();
export const spokeName = "spiffe://nexus.test/spoke";

/** Writes a file of its own. */
export function fileOf(text: string): string {
  const path = join(temporaryFolder(), "file");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const caFile = (): string => fileOf(authority.pem);

/** A daemon that spokes may take for their hub: its listener for calls speaks TLS, and knows certificates. */
export class SingleHub {
  daemon!: DaemonProcess;
  readonly clients: Clients;

  private constructor(
    readonly place: Place,
    private readonly environment: NodeJS.ProcessEnv,
  ) {
    this.clients = place.clients();
  }

  /** @param policy what the policy file says of the principal of the spokes' certificate */
  static async start(
    more: NodeJS.ProcessEnv = {},
    policy = `role: agent\n    user_ids: ["*"]`,
  ): Promise<SingleHub> {
    const server = authority.issueServer();
    const place = await Place.make({
      NEXUS_TLS_CERT_FILE: fileOf(server.cert),
      NEXUS_TLS_KEY_FILE: fileOf(server.key),
      NEXUS_TLS_CLIENT_CA_FILE: caFile(),
      NEXUS_TLS_LISTENERS: "http",
      NEXUS_POLICY_FILE: fileOf(`bindings:\n  - principals: ["cert:${spokeName}"]\n    ${policy}\n`),
      ...more,
    });
    const hub = new SingleHub(place, place.environment);
    await hub.start();
    return hub;
  }

  async start(): Promise<void> {
    this.daemon = new DaemonProcess(this.environment);
    await this.daemon.ready();
  }

  get url(): string {
    return this.place.httpUrl;
  }

  /** The identity of an API key that a spoke shows. */
  async keyIdentity(name: string, restriction: { userIds?: string[] } = {}): Promise<NodeJS.ProcessEnv> {
    const { key } = await this.clients.access.createApiKey({ name, role: Role.AGENT, restriction });
    return { NEXUS_UPSTREAM_TOKEN_FILE: fileOf(key) };
  }

  close(): Promise<unknown> {
    return this.daemon.kill("SIGKILL");
  }
}

/** The identity of a certificate. */
export function certificateIdentity(
  issued: Issued = authority.issue({ uris: [spokeName] }),
): NodeJS.ProcessEnv {
  return { NEXUS_UPSTREAM_CERT_FILE: fileOf(issued.cert), NEXUS_UPSTREAM_KEY_FILE: fileOf(issued.key) };
}

/** A real `nexusd serve` that is the spoke of others. */
export class SpokeProcess {
  daemon!: DaemonProcess;

  private constructor(readonly environment: NodeJS.ProcessEnv) {}

  /** Not started yet. */
  static async of(urls: readonly string[], identity: NodeJS.ProcessEnv): Promise<SpokeProcess> {
    return new SpokeProcess({
      NEXUS_UPSTREAM: urls.join(","),
      NEXUS_UPSTREAM_CA_FILE: caFile(),
      ...identity,
      NEXUS_DATA_DIR: sweptFolder(),
      NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_LOG_FORMAT: "json",
      NEXUS_PROXIES: "true",
    });
  }

  static async started(urls: readonly string[], identity: NodeJS.ProcessEnv): Promise<SpokeProcess> {
    const spoke = await SpokeProcess.of(urls, identity);
    await spoke.start();
    return spoke;
  }

  get folder(): string {
    return this.environment["NEXUS_DATA_DIR"] ?? "";
  }

  get clients(): Clients {
    return clientsOf(join(this.folder, "nexus.sock"));
  }

  get httpUrl(): string {
    return `http://${this.environment["NEXUS_HTTP_LISTEN"]}`;
  }

  get opsUrl(): string {
    return `http://${this.environment["NEXUS_OPS_LISTEN"]}`;
  }

  async start(): Promise<void> {
    this.daemon = new DaemonProcess(this.environment);
    await this.daemon.ready();
  }

  async restart(): Promise<void> {
    await this.daemon.kill("SIGKILL");
    await this.start();
  }

  async status() {
    return (await this.clients.status.getStatus({})).spoke;
  }

  close(): Promise<unknown> {
    return this.daemon.kill("SIGKILL");
  }
}
