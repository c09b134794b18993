import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { Place, World } from "../../daemon/harness.js";
import { registered } from "../../daemon/requests.js";
import { Authority, type Issued } from "../../fakes/certificates.js";
import type { OpenIdProviderOptions } from "../../fakes/openid_provider.js";
import { freePort } from "../../free_port.js";
import { temporaryFolder } from "../../temporary_folder.js";

const gateway = "spiffe://cluster.local/ns/ate-system/sa/atenet-egress";
const domain = "spiffe://substrate-actor.local/actor";

/** A daemon that serves the egress gateway of agent-substrate over mutual TLS. The policy binds two actors, to ada and to bob. */
export class SubstrateWorld {
  static readonly coder = `${domain}/team-a/coder`;
  static readonly unbound = `${domain}/team-b/intruder`;
  /** A caller of its own, outside of the trust domain, which may use everybody's connections. */
  static readonly operator = "spiffe://nexus.test/operator";

  private constructor(
    readonly world: World,
    readonly port: number,
    readonly connectionId: string,
    readonly serverCa: string,
    private readonly clientCa: Authority,
    private readonly fileOf: (name: string, text: string) => string,
  ) {}

  static async make(options: Partial<OpenIdProviderOptions> = {}): Promise<SubstrateWorld> {
    const [serverCa, clientCa] = [new Authority("Server CA"), new Authority("Client CA")];
    const folder = temporaryFolder();
    const fileOf = (name: string, text: string): string => {
      const path = join(folder, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    const server = serverCa.issueServer();
    const port = await freePort();
    const policy = [
      "bindings:",
      `  - { principals: ["cert:${SubstrateWorld.coder}"], role: agent, user_ids: [ada] }`,
      `  - { principals: ["cert:${domain}/team-c/*"], role: agent, user_ids: [bob] }`,
      `  - { principals: ["cert:${SubstrateWorld.operator}"], role: agent, user_ids: ["*"] }`,
      "",
    ];
    const place = await Place.make({
      NEXUS_GRPC_LISTEN: `127.0.0.1:${port}`,
      NEXUS_TLS_CERT_FILE: fileOf("tls.crt", server.cert),
      NEXUS_TLS_KEY_FILE: fileOf("tls.key", server.key),
      NEXUS_TLS_CLIENT_CA_FILE: fileOf("client-ca.crt", clientCa.pem),
      NEXUS_TLS_LISTENERS: "grpc",
      NEXUS_POLICY_FILE: fileOf("policy.yaml", policy.join("\n")),
      NEXUS_SUBSTRATE_GATEWAY: `cert:${gateway}`,
    });
    const world = await World.make(options, place);
    const connectionId = await world.connect(await world.register());
    const { clients } = world;
    const two = await registered(clients, { name: "twilio", authType: AuthType.BASIC_AUTH });
    const credentials = { username: "account", password: "twilio-secret" };
    for (const userId of ["ada", "bob"])
      await clients.connections.importConnection({ userId, providerId: two, credentials });
    return new SubstrateWorld(world, port, connectionId, serverCa.pem, clientCa, fileOf);
  }

  /** The certificate of the gateway, or of another caller. */
  certificate(uri: string = gateway): Issued {
    return this.clientCa.issue({ uris: [uri] });
  }

  /** What a program needs to call as the gateway, or as another caller: the CA, the certificate, and its key. */
  files(uri?: string): readonly string[] {
    const { cert, key } = this.certificate(uri);
    return [
      this.fileOf("server-ca.crt", this.serverCa),
      this.fileOf("caller.crt", cert),
      this.fileOf("caller.key", key),
    ];
  }

  async token(): Promise<string> {
    const { token } = await this.world.clients.tokens.getToken({ connectionId: this.connectionId });
    return token?.credentials["access_token"] ?? "none";
  }

  close(): Promise<void> {
    return this.world.close();
  }
}
