import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { JsonObject } from "../../../../src/model/json.js";
import { Postgres } from "../../../fakes/postgres.js";

/** The tables of Nexus, as its migrations leave them. */
const tables = `
CREATE TABLE provider_profiles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(255) NOT NULL, client_id varchar(255), client_secret text, auth_url text,
  token_url text, scopes text[], issuer text, enable_discovery boolean DEFAULT false, auth_type text NOT NULL DEFAULT 'oauth2',
  auth_header text, params jsonb, api_base_url text, user_info_endpoint text, description text, category text,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), deleted_at timestamptz);
CREATE TABLE connections (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), workspace_id varchar(255) NOT NULL,
  provider_id uuid NOT NULL REFERENCES provider_profiles(id), status varchar(50) NOT NULL DEFAULT 'pending', code_verifier text,
  scopes text[], return_url text NOT NULL, created_at timestamptz DEFAULT now(), expires_at timestamptz, updated_at timestamptz DEFAULT now());
`;

/** A Nexus by its contract: the broker's API before a PostgreSQL. */
export class FakeNexus {
  readonly key = "the-broker-key-of-nexus";
  /** The answers to reads of tokens, by the id of the connection. */
  readonly grants = new Map<string, JsonObject>();
  /** Connections whose tokens were read. */
  readonly reads: string[] = [];

  private constructor(
    readonly postgres: Postgres,
    private readonly server: Server,
  ) {}

  static async start(): Promise<FakeNexus> {
    const postgres = await Postgres.start();
    await postgres.query(`SET ROLE nexus; ${tables}`);
    const server = createServer();
    const nexus = new FakeNexus(postgres, server);
    server.on("request", ({ url = "", headers }, response) => {
      const answer = (status: number, body: unknown) =>
        void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      if (headers["x-api-key"] !== nexus.key) return answer(401, { error: "unauthorized" });
      if (url === "/providers") return answer(200, []);
      const [, id = ""] = /^\/connections\/([^/]+)\/token$/.exec(url) ?? [];
      const grant = nexus.grants.get(id);
      nexus.reads.push(id);
      if (!grant) return answer(409, { error: "attention_required", message: "consent again" });
      return answer(200, grant);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return nexus;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** @returns its id */
  async provider(row: JsonObject): Promise<string> {
    return await this.#insert("provider_profiles", row);
  }

  /** @returns its id */
  async connection(row: JsonObject, grant?: JsonObject): Promise<string> {
    const id = await this.#insert("connections", {
      return_url: "https://app.example.com",
      status: "active",
      ...row,
    });
    if (grant) this.grants.set(id, grant);
    return id;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await this.postgres.close();
  }

  async #insert(table: string, row: JsonObject): Promise<string> {
    const names = Object.keys(row).join(", ");
    const text = `INSERT INTO ${table} (${names}) SELECT ${names} FROM jsonb_populate_record(NULL::${table}, $1) RETURNING id`;
    const [made] = await this.postgres.queryWith<{ id: string }>(text, [JSON.stringify(row)]);
    return made?.id ?? "";
  }
}
