import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { clientsOver } from "../all_clients.js";
import { json, type Script, type ScriptedServer, startScriptedServer } from "../oauth/scripted_server.js";
import { agentOf, type KubernetesObject, only, released, secretOf } from "./manifests.js";
import { Pod, type Running } from "./pod.js";
import { untilStarted } from "./pod_start.js";

export const providerNames = ["sound", "late", "hung", "refusing"] as const;
export type ProviderName = (typeof providerNames)[number];

/** The one thing that the manifests do not say: the providers of a test stand on this machine. */
const loopbackProviders = { NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true" };

/** The pod of the example with a sidecar, and providers on loopback that its ConfigMap names. */
export class PodWorld {
  /** What each provider answers a refresh with; a fresh token set that rotates the refresh token, by default. */
  readonly answers = new Map<ProviderName, Script>();
  /** How often each provider was asked. */
  readonly asked = new Map<ProviderName, number>();
  readonly pod: Pod;

  private constructor(
    readonly objects: readonly KubernetesObject[],
    private readonly server: ScriptedServer,
  ) {
    this.pod = new Pod(objects);
    server.script = (response, request) => {
      const name = request.path.split("/")[1] as ProviderName;
      const count = (this.asked.get(name) ?? 0) + 1;
      this.asked.set(name, count);
      (this.answers.get(name) ?? tokenSet(name, count))(response, request);
    };
  }

  /** @param annotations of the pod, over those of the example */
  static async make(annotations: Readonly<Record<string, string>> = {}): Promise<PodWorld> {
    const server = await startScriptedServer();
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the manifest's own
    const clientSecret = "${GITHUB_CLIENT_SECRET}";
    const providers = providerNames.map((name) => ({
      name,
      auth_type: "oauth2",
      client_id: "the-client",
      client_secret: clientSecret,
      auth_url: `${server.origin}/${name}/authorize`,
      token_url: `${server.origin}/${name}/token`,
    }));
    const objects = agentOf("sidecar", released("sidecar").objects, annotations);
    const settings = only(objects, "ConfigMap", "agent-nexusd");
    Object.assign(settings.data ?? {}, { "providers.yaml": JSON.stringify({ providers }) });
    const secrets = {
      GITHUB_CLIENT_SECRET: "the-client-secret",
      NEXUS_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    };
    return new PodWorld([...objects, secretOf("agent-nexusd", secrets)], server);
  }

  async close(): Promise<void> {
    await this.server.close();
  }

  /** nexusd, when its startup probe has passed. @throws Error when it does not within the time that the kubelet gives it */
  async start(): Promise<Running> {
    const running = this.pod.start(this.pod.nexusd, { env: loopbackProviders });
    await untilStarted(this.pod, running);
    return running;
  }

  /** The admin, by the key of the data folder, at the socket. */
  admin() {
    const data = this.pod.nexusd.volumeMounts?.find(({ mountPath }) => mountPath === "/data");
    const key = join(this.pod.pathOf(data?.name ?? ""), "nexusd/admin.key");
    return adminAt(join(this.pod.pathOf("nexusd-socket"), "nexus.sock"), key);
  }

  /** A connection whose refresh token came from elsewhere. */
  async connect(name: ProviderName): Promise<string> {
    const { providers, connections } = this.admin();
    const { provider } = await providers.getProvider({ key: { case: "name", value: name } });
    const { connection } = await connections.importConnection({
      userId: "ada",
      providerId: provider?.id ?? "",
      refreshToken: `${name}-refresh-0`,
    });
    return connection?.id ?? "";
  }

  /** What a program of the pod prints when it has ended with 0. */
  async says(running: Running): Promise<string> {
    const code = await running.exited;
    if (code !== 0) throw new Error(`it ended with ${code}: ${running.output}`);
    return running.output.trim();
  }

  /** Resolves when the provider has been asked `count` times. */
  async wasAsked(name: ProviderName, count: number): Promise<void> {
    while ((this.asked.get(name) ?? 0) < count) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The admin of a daemon, by the file of its key, at its socket. */
export function adminAt(socket: string, keyFile: string) {
  const key = readFileSync(keyFile, "utf8").trim();
  const transport = createGrpcTransport({
    baseUrl: "http://localhost",
    nodeOptions: { createConnection: () => connect(socket) },
    interceptors: [
      (next) => (request) => {
        request.header.set("x-api-key", key);
        return next(request);
      },
    ],
  });
  return clientsOver(transport);
}

export function tokenSet(name: ProviderName, count: number): Script {
  return json({
    access_token: `${name}-access-${count}`,
    refresh_token: `${name}-refresh-${count}`,
    token_type: "Bearer",
    expires_in: 3600,
  });
}
