import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:https";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { FleetStatus } from "../../src/gen/nexus/v1/status_pb.js";
import { clientsOver } from "../all_clients.js";
import { Authority } from "../fakes/certificates.js";
import { JwtSigner } from "../fakes/jwt_issuer.js";
import { Postgres } from "../fakes/postgres.js";
import { json, type ScriptedServer, startScriptedServer } from "../oauth/scripted_server.js";
import { type KubernetesObject, only, podOf, released, secretOf } from "./manifests.js";
import { Pod, type Running } from "./pod.js";
import { placesOf, untilStarted } from "./pod_start.js";

const namespace = "agents";
export const agent = `system:serviceaccount:${namespace}:agent`;

/** A hub of the StatefulSet. */
export class HubPod {
  running: Running | undefined;

  constructor(
    readonly pod: Pod,
    readonly name: string,
    private readonly world: HubsWorld,
  ) {}

  /** Starts it and waits for its startup probe. @throws Error when it does not pass in the time that the kubelet gives it */
  async start(): Promise<void> {
    const { pod } = this;
    if (this.running?.isOver === false) throw new Error(`${this.name} runs already`);
    const env = { ...placesOf(pod), NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true" };
    this.running = pod.start(pod.nexusd, { env });
    await untilStarted(pod, this.running);
  }

  async kill(): Promise<void> {
    await this.running?.kill();
    this.running = undefined;
  }

  async ready(): Promise<number | undefined> {
    const { nexusd } = this.pod;
    return nexusd.readinessProbe && (await this.pod.probe(nexusd, nexusd.readinessProbe));
  }

  /** What `kubectl exec` would print. */
  async command(...args: string[]): Promise<string> {
    const command = this.pod.start(this.pod.nexusd, { args });
    if ((await command.exited) !== 0) throw new Error(command.output);
    return command.output;
  }

  /** A caller of the Service whose connection came to this hub, by TLS and a bearer token. */
  clients(token: string) {
    const transport = createGrpcTransport({
      baseUrl: `https://${this.pod.address}:8443`,
      nodeOptions: { ca: this.world.authority.pem, servername: `nexusd.${namespace}.svc` },
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${token}`);
          return next(request);
        },
      ],
    });
    return clientsOver(transport);
  }

  async fleet(): Promise<FleetStatus | undefined> {
    const { status } = this.clients(this.world.adminKey);
    return await status.getStatus({}, { timeoutMs: 2_000 }).then(
      ({ fleet }) => fleet,
      () => undefined,
    );
  }
}

/** The fleet of the example: its pods, a PostgreSQL, the cluster's issuer, a provider. */
export class HubsWorld {
  readonly hubs: HubPod[] = [];
  /** Where the Service of the hubs is to be. */
  readonly serviceAddress = "127.0.0.30";
  readonly #signer = new JwtSigner();
  #refreshes = 0;

  private constructor(
    readonly authority: Authority,
    readonly postgres: Postgres,
    private readonly provider: ScriptedServer,
    readonly objects: readonly KubernetesObject[],
  ) {
    provider.script = (response, request) =>
      json({
        access_token: `access-${++this.#refreshes}`,
        refresh_token: `refresh-${this.#refreshes}`,
        token_type: "Bearer",
        expires_in: 3600,
      })(response, request);
  }

  #issuer: Server | undefined;

  static async make(): Promise<HubsWorld> {
    const authority = new Authority("Cluster CA");
    const database = authority.issue({ dns: [`nexusd-db-rw.${namespace}.svc`] });
    const postgres = await Postgres.start({ tls: database });
    const provider = await startScriptedServer();
    const storeUrl = `postgres://nexus:nexus@nexusd-db-rw.${namespace}.svc:${postgres.port}/nexus?sslmode=verify-full&sslrootcert=/etc/nexus/database/ca.crt\n`;
    const providers = [
      {
        name: "sound",
        auth_type: "oauth2",
        client_id: "the-client",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the manifest's own
        client_secret: "${GITHUB_CLIENT_SECRET}",
        auth_url: `${provider.origin}/authorize`,
        token_url: `${provider.origin}/token`,
      },
    ];
    const { objects } = released("fleet", {
      ...{ providers, clientSecrets: "client-secrets", tls: { existingSecret: "nexusd-tls" } },
      egress: { enabled: true, at: "broker" },
    });
    const world = new HubsWorld(authority, postgres, provider, [
      ...objects,
      ...clusterObjects(authority),
      secretOf("nexusd-store", { "store.url": storeUrl }),
      secretOf("nexusd-own-keys", {
        "encryption.key": randomBytes(32).toString("base64"),
        "admin.key": randomBytes(32).toString("hex"),
      }),
    ]);
    await world.#startIssuer();
    world.#makePods();
    return world;
  }

  /** A token of a service account, as the kubelet projects it for an audience; that of the API server where none is named. */
  tokenOf(subject: string, audience = "https://kubernetes.default.svc"): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.#issuerName,
      aud: [audience],
      sub: subject,
      iat: now,
      exp: now + 600,
    };
    return this.#signer.sign({ claims });
  }

  get adminKey(): string {
    const { data } = only(this.objects, "Secret", "nexusd-own-keys");
    return Buffer.from(data?.["admin.key"] ?? "", "base64").toString("utf8");
  }

  get #issuerName(): string | undefined {
    const [hub] = podOf(this.objects, "StatefulSet").containers;
    return hub?.env?.find(({ name }) => name === "NEXUS_JWT_ISSUER")?.value;
  }

  /** The Job that makes the store. @returns how it ended, and what it said */
  async job(): Promise<{ readonly code: number | string; readonly output: string }> {
    const pod = new Pod(this.objects, { kind: "Job", hosts: this.hosts() });
    const running = pod.start(pod.nexusd);
    return { code: await running.exited, output: running.output };
  }

  /** The hub that leads, as soon as one of those that run does, and the others know it. */
  async leader(): Promise<HubPod> {
    const up = this.hubs.filter(({ running }) => running !== undefined);
    for (;;) {
      const seen = await Promise.all(up.map((hub) => hub.fleet()));
      const leading = up.filter((_, index) => seen[index]?.role === 3);
      const addresses = new Set(seen.map((fleet) => fleet?.leader ?? ""));
      if (leading.length === 1 && addresses.size === 1) return leading[0] as HubPod;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.hubs.map((hub) => hub.kill()));
    this.#issuer?.closeAllConnections();
    this.#issuer?.close();
    await this.provider.close();
    await this.postgres.close();
  }

  #makePods(): void {
    const { replicas } = only(this.objects, "StatefulSet").spec;
    for (let ordinal = 0; ordinal < replicas; ordinal++) {
      const name = `nexusd-${ordinal}`;
      const place = {
        kind: "StatefulSet",
        name,
        namespace,
        hosts: this.hosts(),
        token: (audience?: string) => this.tokenOf("hub", audience),
      } as const;
      const pod = new Pod(this.objects, { ...place, address: addressOf(ordinal) });
      this.hubs.push(new HubPod(pod, name, this));
    }
  }

  /** What the cluster's DNS would say: the pods by the headless Service, the hubs, the database and the API server by theirs. */
  hosts(): string {
    const { serviceName, replicas } = only(this.objects, "StatefulSet").spec;
    const { name } = only(this.objects, "Service", serviceName).metadata;
    const hubs = Array.from(
      { length: replicas },
      (_, ordinal) => `${addressOf(ordinal)} nexusd-${ordinal}.${name}.${namespace}.svc`,
    );
    return [
      "127.0.0.1 localhost",
      `127.0.0.1 nexusd-db-rw.${namespace}.svc kubernetes.default.svc`,
      `${this.serviceAddress} nexusd.${namespace}.svc`,
      ...hubs,
      "",
    ].join("\n");
  }

  /** The API server, as far as it publishes the keys of its service accounts. */
  async #startIssuer(): Promise<void> {
    const { cert, key } = this.authority.issue({ dns: ["kubernetes.default.svc"] });
    const server = createServer({ cert, key }, (request, response) => {
      const isKnown =
        request.url === "/openid/v1/jwks" && request.headers.authorization?.startsWith("Bearer ");
      response.writeHead(isKnown ? 200 : 403, { "content-type": "application/jwk-set+json" });
      response.end(isKnown ? JSON.stringify({ keys: [this.#signer.jwk] }) : "{}");
    });
    await new Promise<void>((resolve) => server.listen(443, "127.0.0.1", resolve));
    this.#issuer = server;
  }
}

const addressOf = (ordinal: number): string => `127.0.0.${11 + ordinal}`;

/** What is in a cluster beside the manifests: the operator of the database and cert-manager make Secrets. */
function clusterObjects(authority: Authority): KubernetesObject[] {
  const served = authority.issue({ dns: [`nexusd.${namespace}.svc`] });
  return [
    secretOf("nexusd-db-ca", { "ca.crt": authority.pem, "ca.key": "not for hubs" }),
    secretOf("nexusd-tls", { "ca.crt": authority.pem, "tls.crt": served.cert, "tls.key": served.key }),
    secretOf("client-secrets", { GITHUB_CLIENT_SECRET: "the-client-secret" }),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "kube-root-ca.crt" },
      data: { "ca.crt": authority.pem },
    },
  ];
}
