import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config, ExtensionSettings } from "../config/config.js";
import type { Setting } from "../config/settings.js";
import { type ExitCode, exitCodes } from "../core/exit_codes.js";
import type { AuthenticateOptions } from "../domain/access/authenticate.js";
import type { AskApprovers } from "../domain/access/request_rules.js";
import type { FollowOutcome } from "../domain/consent/consent_outcomes.js";
import type { OpenMcpLookup } from "../domain/providers/mcp_lookup.js";
import type { GrantTypeRow } from "../domain/token_endpoint/grant_type.js";
import type { OpenDownscoping } from "../domain/tokens/downscoping.js";
import type { JsonObject } from "../model/json.js";
import type { Tracing } from "../model/tracing.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { Routes } from "../server/listen/http_message.js";
import type { OnUnexpected } from "../server/listen/listener.js";
import type { ExtensionListeners, MakeOpenServices } from "../server/listeners.js";
import type { OpsPages } from "../server/pages/ops_listener.js";
import type { DescribeProvider } from "../server/pages/page_words.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import type { ExtensionTable } from "../store/lmdb/table.js";
import type { DaemonHub } from "./daemon_hub.js";
import type { DaemonClocks, DaemonOptions, Joined, Opening, Resources } from "./resources.js";
import type { Domain } from "./wire_domain.js";

/** See `DaemonExtension.tables`. */
export { ExtensionTable } from "../store/lmdb/table.js";

/**
 * A daemon that is wired, with no listener open yet: what an extension builds on. `resources.store.observe` shows it what transactions
 * write, `resources.metrics` takes its gauges and counters.
 */
export interface Core {
  readonly options: DaemonOptions;
  readonly resources: Resources;
  readonly domain: Domain;
  readonly templates: Catalogue;
  /** The variables of the process, or what a test puts in their place. */
  readonly environment: NodeJS.ProcessEnv;
  /** All that the daemon knows. */
  readonly settings: readonly Setting[];
  /** The page for approvers that a link of a held request leads to; undefined where no browser reaches one. */
  readonly approvalUrl: (link: string) => string | undefined;
  /** Of the extension that reads manifests; undefined where there is none. */
  readonly keepProfiles?: KeepProfiles | undefined;
}

/**
 * Makes the daemon hold the profiles of a manifest, and leaves all others alone.
 *
 * @param secrets what `${NAME}` in the manifest stands for
 * @returns the names of the profiles that were created or changed
 * @throws DocumentError with every error of the manifest; NexusError
 */
export type KeepProfiles = (
  core: Core,
  manifest: JsonObject,
  secrets: Readonly<Record<string, string>>,
) => Promise<readonly string[]>;

/** What the pages of an extension are made of. */
export interface PagesGround {
  /** Every service of the contract, as calls that come in by that listener. */
  servicesAt(listener: string): readonly BoundService[];
  /** As people know a provider. */
  readonly describe: DescribeProvider;
}

/** What an extension runs in a daemon. */
export interface RunningExtension {
  /** What it serves at every listener of calls. Each RPC has its options in its proto; one of a proto that is not ours, in its definition. */
  readonly services?: readonly ServiceDefinition[];
  /** What it serves at every listener of calls to those who show no credential. */
  readonly openServices?: MakeOpenServices;
  /** Verifies the JWTs that callers show. */
  readonly jwt?: AuthenticateOptions["jwt"];
  /** Pages of the ops listener. */
  readonly opsPages?: OpsPages;
  /** Listeners of its own. */
  listeners?(ground: PagesGround): ExtensionListeners;
  /** What the `http` listeners answer beside calls, by the services that they serve. */
  routes?(services: readonly BoundService[], onUnexpected: OnUnexpected): Routes;
  /** Asks people about requests that a rule holds. */
  readonly approver?: AskApprovers;
  /** See `Core.approvalUrl`. */
  approvalUrl?(link: string): string | undefined;
  /** Where a link below `/c/` leads. */
  followLink?(code: string): Promise<FollowOutcome>;
  /** Runs at each hub of a fleet, also where another one leads. */
  readonly isOnEveryHub?: boolean;
  /**
   * Called before the first caller is served; in a fleet, each time this hub begins to lead, unless it `isOnEveryHub`.
   *
   * @throws StartRefused
   */
  start?(): Promise<void>;
  /** Resolves when nothing of it runs. It may be started again. */
  stop?(): Promise<void>;
  /** SIGHUP. In a fleet, only at the hub that leads, unless it `isOnEveryHub`. */
  reload?(): Promise<void>;
}

/** What makes a daemon one of many: a hub of a fleet, or a spoke. */
export interface Membership extends Joined {
  hub(resources: Resources): DaemonHub;
}

/** Traces of a daemon. */
export interface OpenTracing {
  readonly tracing: Tracing;
  readonly tracedOutbound: NonNullable<DaemonOptions["tracedOutbound"]>;
  /** For lines of the log that are written inside a span. */
  logFields(): object;
  /** Sends what is left, if that can be done within half a second. */
  close(): Promise<void>;
}

/** The program that started the daemon and wants to know how it is. */
export interface ServiceManager {
  /** Every listener is open. */
  ready(): void;
  /** The daemon ends by itself from here on. */
  stopping(): void;
}

/** A part of the product that the core does not know. Its module is light: what it needs is imported when it is opened. */
export interface DaemonExtension {
  readonly name: string;
  readonly settings?: ExtensionSettings;
  /** What the daemon goes by instead of the machine's clock. */
  clocks?(config: Config): Promise<DaemonClocks | undefined>;
  /** Resolves with undefined where its settings ask for no traces. */
  openTracing?(
    config: Config,
    parts: { readonly environment: NodeJS.ProcessEnv; readonly clock: Clock; readonly log: Log },
  ): Promise<OpenTracing | undefined>;
  /** Resolves with undefined where no such program asks. */
  openServiceManager?(
    environment: NodeJS.ProcessEnv,
    parts: { readonly clock: Clock; readonly log: Log },
  ): Promise<ServiceManager | undefined>;
  /** Before a store is open. Resolves with undefined where the settings leave the daemon alone. @throws StartRefused */
  join?(options: DaemonOptions, opening: Opening): Promise<Membership | undefined>;
  /** What it keeps in the store. */
  readonly tables?: readonly ExtensionTable[];
  readonly grantTypes?: readonly GrantTypeRow[];
  /** Makes tokens that may do less than their connection's. Called when the first is asked for. */
  readonly downscoping?: OpenDownscoping;
  /** Makes providers of MCP servers. */
  readonly mcpLookup?: OpenMcpLookup;
  readonly keepProfiles?: KeepProfiles;
  /** Whether it keeps the policy what the file of the settings says: without one that does, a daemon with such a file does not start. */
  readonly keepsPolicy?: boolean;
  /** Resolves with undefined where the settings leave it off. */
  open?(core: Core): Promise<RunningExtension | undefined>;
}

/** The tables that a store has beside its own. */
export function tablesOf(extensions: readonly DaemonExtension[]): readonly ExtensionTable[] {
  return extensions.flatMap(({ tables = [] }) => tables);
}

/** An extension keeps the daemon from starting; its settings cannot be used, unless the exit code says otherwise. */
export class StartRefused extends Error {
  override readonly name: string = "StartRefused";

  constructor(
    message: string,
    readonly exitCode: ExitCode = exitCodes.usage,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
