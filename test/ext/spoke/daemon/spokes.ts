import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Daemon } from "../../../../src/daemon/daemon.js";
import { startFailure } from "../../../../src/daemon/run_daemon.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { type Clients, Place } from "../../../daemon/harness.js";
import { Authority, type Issued } from "../../../fakes/certificates.js";
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

/**
 * Of a daemon that spokes may take for their hub: its listener for calls speaks TLS, and knows certificates.
 * @param policy what the policy file says of the principal of the spokes' certificate
 */
export function hubSettings(
  more: NodeJS.ProcessEnv = {},
  policy = `role: agent\n    user_ids: ["*"]`,
): NodeJS.ProcessEnv {
  const server = authority.issueServer();
  return {
    NEXUS_TLS_CERT_FILE: fileOf(server.cert),
    NEXUS_TLS_KEY_FILE: fileOf(server.key),
    NEXUS_TLS_CLIENT_CA_FILE: caFile(),
    NEXUS_TLS_LISTENERS: "http",
    NEXUS_POLICY_FILE: fileOf(`bindings:\n  - principals: ["cert:${spokeName}"]\n    ${policy}\n`),
    ...more,
  };
}

export function spokeSettings(urls: readonly string[], identity: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { NEXUS_UPSTREAM: urls.join(","), NEXUS_UPSTREAM_CA_FILE: caFile(), ...identity };
}

/** The identity of an API key that a spoke shows. */
export async function keyIdentity(
  { access }: Clients,
  name: string,
  restriction: { userIds?: string[] } = {},
): Promise<NodeJS.ProcessEnv> {
  const { key } = await access.createApiKey({ name, role: Role.AGENT, restriction });
  return { NEXUS_UPSTREAM_TOKEN_FILE: fileOf(key) };
}

/** The identity of a certificate. */
export function certificateIdentity(
  issued: Issued = authority.issue({ uris: [spokeName] }),
): NodeJS.ProcessEnv {
  return { NEXUS_UPSTREAM_CERT_FILE: fileOf(issued.cert), NEXUS_UPSTREAM_KEY_FILE: fileOf(issued.key) };
}

/** A hub or a spoke in this process, by the clock of the machine. */
export class LocalDaemon {
  #daemon: Daemon | undefined;
  readonly clients: Clients;

  private constructor(readonly place: Place) {
    this.clients = place.clients();
  }

  /** Not started yet. */
  static async of(settings: NodeJS.ProcessEnv): Promise<LocalDaemon> {
    return new LocalDaemon(await Place.make(settings));
  }

  static async started(settings: NodeJS.ProcessEnv): Promise<LocalDaemon> {
    const made = await LocalDaemon.of(settings);
    await made.start();
    return made;
  }

  get output(): string {
    return this.place.logLines.join("");
  }

  async start(): Promise<void> {
    this.#daemon = await this.place.start(new SystemClock());
  }

  /** How it ends that cannot start, and its last word. */
  async refusal() {
    const error = await this.start().catch((thrown: unknown) => thrown);
    return { code: startFailure(error), output: `${this.output}${error}` };
  }

  /** As a spoke. */
  async status() {
    return (await this.clients.status.getStatus({})).spoke;
  }

  /** Until the next `start`. */
  async stop(): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = undefined;
  }
}
