import { allProviders, CommandFailure, type DaemonSession, printWarnings } from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import type { JsonObject, JsonValue } from "../../model/model.js";
import { contractKeys, profileMessage, profileOfContract } from "../../model/providers/providers.js";
import type { ImportOutcome } from "./outcome.js";

/** A provider of Nexus, and what it is in the daemon. */
export interface MovedProvider {
  readonly name: string;
  /** Undefined where the daemon has none, since it was refused or is not made in a dry run. */
  readonly id: string | undefined;
  readonly isDeleted: boolean;
}

/** Makes the providers of Nexus that the daemon lacks. One of the same name is left as it is. */
export class ProviderImport {
  constructor(
    private readonly session: DaemonSession,
    private readonly isDry: boolean,
  ) {}

  /** @returns by their ids in Nexus */
  async run(
    rows: readonly JsonObject[],
    report: (outcome: ImportOutcome) => void,
  ): Promise<ReadonlyMap<string, MovedProvider>> {
    const present = new Map((await allProviders(this.session)).map((each) => [each.name, each]));
    const moved = new Map<string, MovedProvider>();
    for (const row of rows) {
      const { json, name, notes } = profileIn(row);
      const isDeleted = row["deleted_at"] !== undefined && row["deleted_at"] !== null;
      const put = (id: string | undefined, result: ImportOutcome["result"], message: string): void => {
        moved.set(String(row["id"]), { name, id, isDeleted });
        report({ kind: "provider", name, result, message: [message, ...notes].join("; ") });
      };
      const before = present.get(name);
      if (isDeleted) put(undefined, "skipped", "it is deleted in Nexus");
      else if (before) put(before.id, "present", "it is left as it is");
      else {
        const made = await this.#make(json);
        if (typeof made === "string") put(undefined, "failed", made);
        else {
          if (made) present.set(name, made);
          put(made?.id, "created", "with its client and secret");
        }
      }
    }
    return moved;
  }

  /** @returns why it cannot be made; undefined in a dry run */
  async #make(json: JsonObject): Promise<Provider | string | undefined> {
    const { settings, clientSecret, violations } = profileOfContract(json);
    if (violations.length > 0)
      return violations.map(({ field, description }) => `${field} ${description}`).join("; ");
    if (this.isDry) return undefined;
    const { call, daemon, shell } = this.session;
    const provider = profileMessage(settings);
    provider.clientSecret = clientSecret?.reveal() ?? "";
    try {
      const answer = await call(`create the provider ${settings.name}`, daemon.providers.createProvider, {
        provider,
      });
      printWarnings(shell, answer);
      return answer.provider;
    } catch (error) {
      return reasonOf(error);
    }
  }
}

/** What refused one thing of many. @throws whatever concerns the daemon itself */
export function reasonOf(error: unknown): string {
  if (!(error instanceof CommandFailure) || error.exitCode === exitCodes.notReachable) throw error;
  return error.message.replaceAll(/\s*\n\s*/g, "; ");
}

/** A row of Nexus as the contract's JSON. */
function profileIn(row: JsonObject): {
  readonly json: JsonObject;
  readonly name: string;
  readonly notes: readonly string[];
} {
  const notes: string[] = [];
  const given = String(row["name"] ?? "");
  const name = given
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
  if (name !== given) notes.push(`its name was ${given}`);
  const kept = Object.entries(row).filter(([key, value]) => contractKeys.includes(key) && isGiven(value));
  const json: Record<string, JsonValue> = { ...Object.fromEntries(kept), name };
  return { json, name, notes };
}

function isGiven(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null && value !== "" && value !== false;
}
