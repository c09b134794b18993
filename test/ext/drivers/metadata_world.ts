import { rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { Role } from "../../../src/gen/nexus/v1/access_pb.js";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { Place, World } from "../../daemon/harness.js";
import { registered } from "../../daemon/requests.js";
import type { OpenIdProviderOptions } from "../../fakes/openid_provider.js";
import { freePort } from "../../free_port.js";
import { sweptFolder } from "../../run_folder.js";

export interface MetadataAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A daemon whose metadata listener serves a key of AWS of ada, and the token of ada at an OpenID provider as Google's. */
export class MetadataWorld {
  private constructor(
    readonly world: World,
    readonly address: string,
    /** Of a caller that may use all of ada's connections. */
    readonly key: string,
    readonly google: string,
    private readonly keyFile: string,
  ) {}

  static async make(options: Partial<OpenIdProviderOptions> = {}): Promise<MetadataWorld> {
    const address = `127.0.0.1:${await freePort()}`;
    const keyFile = join(sweptFolder(), "agent.key");
    const place = await Place.make({
      NEXUS_METADATA_LISTEN: address,
      NEXUS_METADATA_GOOGLE: "op/ada",
      NEXUS_METADATA_GOOGLE_KEY_FILE: keyFile,
    });
    const world = await World.make(options, place);
    const { clients } = world;
    const google = await world.connect(await world.register());
    const aws = {
      name: "aws",
      authType: AuthType.AWS_SIGV4,
      strategy: { kind: { case: "awsSigv4", value: { service: "s3" } } },
    } as const;
    const credentials = { access_key: "AKIAEXAMPLE", secret_key: "aws-secret", session_token: "aws-session" };
    const providerId = await registered(clients, aws);
    for (const userId of ["ada", "bob"])
      await clients.connections.importConnection({ userId, providerId, credentials });
    const restriction = { userIds: ["ada"] };
    const { key } = await clients.access.createApiKey({ name: "agent", role: Role.AGENT, restriction });
    writeFileSync(keyFile, `${key}\n`);
    return new MetadataWorld(world, address, key, google, keyFile);
  }

  async close(): Promise<void> {
    rmSync(this.keyFile);
    await this.world.close();
  }

  /** As an SDK asks; `fetch` would set headers of its own. */
  ask(path: string, headers: Readonly<Record<string, string>> = {}, method = "GET"): Promise<MetadataAnswer> {
    return new Promise((resolve, reject) => {
      get(`http://${this.address}${path}`, { headers, method }, async (response) => {
        const parts: Buffer[] = [];
        for await (const part of response) parts.push(part as Buffer);
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, text: Buffer.concat(parts).toString() });
      }).on("error", reject);
    });
  }

  async json(path: string, headers: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
    return JSON.parse((await this.ask(path, headers)).text);
  }
}
