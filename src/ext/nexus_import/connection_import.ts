import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type DaemonSession, isNotFound } from "../../cli/kit.js";
import type { ImportConnectionRequestSchema } from "../../gen/nexus/v1/connection_pb.js";
import { BrokerRefused, type NexusBroker, type NexusGrant } from "./nexus_broker.js";
import type { NexusConnection } from "./nexus_database.js";
import type { ImportOutcome } from "./outcome.js";
import { type MovedProvider, reasonOf } from "./provider_import.js";

export interface ConnectionImportDeps {
  readonly session: DaemonSession;
  readonly broker: NexusBroker;
  /** By their ids in Nexus. */
  readonly providers: ReadonlyMap<string, MovedProvider>;
  readonly isDry: boolean;
}

/** Of a request of ImportConnection. */
type ImportedCredential = Pick<
  MessageInitShape<typeof ImportConnectionRequestSchema>,
  "credentials" | "scopes" | "refreshToken" | "accessToken" | "accessTokenExpiresAt"
>;

type ReportImport = (result: ImportOutcome["result"], message: string) => void;

/** Takes over connections with their ids: what is there already is left as it is, so that a second run goes on where one ended. */
export class ConnectionImport {
  constructor(private readonly deps: ConnectionImportDeps) {}

  async run(rows: readonly NexusConnection[], report: (outcome: ImportOutcome) => void): Promise<void> {
    for (const row of rows) {
      const provider = this.deps.providers.get(row.provider_id);
      const of = { provider: provider?.name ?? "unknown", user: row.workspace_id };
      await this.#take(row, provider, (result, message) =>
        report({ kind: "connection", name: row.id, of, result, message }),
      );
    }
  }

  async #take(
    row: NexusConnection,
    provider: MovedProvider | undefined,
    report: ReportImport,
  ): Promise<void> {
    if (row.status !== "active") return report("skipped", `it is ${row.status} in Nexus`);
    if (!provider || provider.isDeleted) return report("skipped", "its provider is deleted in Nexus");
    if (await this.#isPresent(row.id)) return report("present", "it is left as it is");
    try {
      const grant = await this.deps.broker.grantOf(row.id);
      const taken = this.#credentialIn(grant, row);
      if (this.deps.isDry) return report("imported", taken.what);
      if (provider.id === undefined) return report("failed", `the provider ${provider.name} was not created`);
      await this.#import(row, provider.id, taken.credential);
      report("imported", taken.what);
    } catch (error) {
      report("failed", error instanceof BrokerRefused ? error.message : reasonOf(error));
    }
  }

  async #isPresent(connectionId: string): Promise<boolean> {
    const { call, daemon } = this.deps.session;
    try {
      await call(`look for the connection ${connectionId}`, daemon.connections.getConnection, {
        connectionId,
      });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** @throws BrokerRefused where it holds nothing that lasts */
  #credentialIn(
    grant: NexusGrant,
    row: NexusConnection,
  ): { readonly what: string; readonly credential: ImportedCredential } {
    if (grant.kind === "static") {
      if (Object.keys(grant.fields).length === 0) throw new BrokerRefused("the broker has no fields of it");
      return { what: "with its fields", credential: { credentials: { ...grant.fields } } };
    }
    const scopes = [...new Set(grant.scopes.length > 0 ? grant.scopes : (row.scopes ?? []))];
    const { refreshToken, accessToken, expiresAtMs } = grant;
    if (refreshToken !== undefined)
      return { what: "with its refresh token", credential: { scopes, refreshToken } };
    if (accessToken === undefined) throw new BrokerRefused("the broker has no token of it");
    if (expiresAtMs !== undefined && expiresAtMs <= this.deps.session.shell.clock.nowMs())
      throw new BrokerRefused(
        "its access token expired, and it has no refresh token: the user must consent again",
      );
    const end = expiresAtMs === undefined ? {} : { accessTokenExpiresAt: timestampFromMs(expiresAtMs) };
    return {
      what: "with its access token; it has no refresh token",
      credential: { scopes, accessToken, ...end },
    };
  }

  async #import(row: NexusConnection, providerId: string, credential: ImportedCredential): Promise<void> {
    const { call, daemon } = this.deps.session;
    const request = { id: row.id, userId: row.workspace_id, providerId, ...credential };
    await call(`import the connection ${row.id}`, daemon.connections.importConnection, request);
  }
}
