import type { Config, ExtensionSettings } from "../config/config.js";
import type { AskApprovers, AuthenticateOptions, SessionMemory, UseCounts } from "../domain/access/access.js";
import type { FollowOutcome } from "../domain/consent/consent.js";
import type { OpenMcpLookup } from "../domain/profiles/profiles.js";
import type { OpenDownscoping } from "../domain/reading/reading.js";
import type { GrantTypeRow } from "../domain/token_endpoint/token_endpoint.js";
import type { ExtensionAuditEvents } from "../model/access/audit_event.js";
import type { Tracing } from "../model/tracing.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { Routes } from "../server/listen/http_message.js";
import type { OnUnexpected } from "../server/listen/listener.js";
import type { ExtensionListeners } from "../server/listeners.js";
import type { AnswerPage } from "../server/pages/browser_pages.js";
import type { OpsPages } from "../server/pages/ops_listener.js";
import type { DescribeProvider } from "../server/pages/page_words.js";
import type { MakeOpenServices } from "../server/standard/standard_services.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import type { ExtensionTable } from "../store/lmdb/table.js";
import type { Core, KeepProfiles } from "./core.js";
import type { DaemonClocks, DaemonOptions } from "./daemon_options.js";
import { type ExitCode, exitCodes } from "./exit_codes.js";
import type { Part } from "./lifecycle.js";
import type { Joined, Opening } from "./membership.js";
import type { SignIn } from "./sign_in.js";

/** See `Extension.tables`. */
export { ExtensionTable } from "../store/lmdb/table.js";
export type { DaemonOptions } from "./daemon_options.js";
export { driftExitCode, type ExitCode, exitCodes } from "./exit_codes.js";
export type { Part } from "./lifecycle.js";
export type { Joined, LeaderTerm, Membership, Opening } from "./membership.js";
export { tellOfOpenSecret } from "./open_secret.js";
export type {
  BegunSignIn,
  SignedIn,
  SignIn,
  SignInClient,
  SignInFailure,
  SignInFailureReason,
  SignInRequest,
  SignInResponse,
} from "./sign_in.js";

/**
 * What an extension is to the program: what has to be known before a store is open. Its module is light: what it needs is imported when
 * it is opened. Audit events are declared beside it (`ExtensionAuditEvents`); commands, too (`cli/shell/shell.ts`).
 */
export interface Extension {
  /** Its folder in `src/ext`. */
  readonly name: string;
  /** Its settings, and the listener that they have addresses for. */
  readonly settings?: ExtensionSettings;
  /** The types of the events that it writes. */
  readonly auditEvents?: readonly (keyof ExtensionAuditEvents)[];
  /** What it keeps in the store. */
  readonly tables?: readonly ExtensionTable[];
  readonly grantTypes?: readonly GrantTypeRow[];
  /** Makes tokens that may do less than their connection's. Called when the first is asked for. */
  readonly downscoping?: OpenDownscoping;
  /** Makes providers of MCP servers. */
  readonly mcpLookup?: OpenMcpLookup;
  /** See `Core.keepProfiles`. */
  readonly keepProfiles?: KeepProfiles;
  /** Whether it keeps the policy what the file of the settings says: without one that does, a daemon with such a file does not start. */
  readonly keepsPolicy?: boolean;
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
  join?(options: DaemonOptions, opening: Opening): Promise<Joined | undefined>;
  /** Registers what it adds to a daemon; nothing where the settings leave it off. @throws StartRefused */
  open?(core: Core, registry: Registry): Promise<void>;
}

/** What the pages of an extension are made of. */
export interface PagesGround {
  /** Every service of the contract, as calls that come in by that listener. */
  servicesAt(listener: string): readonly BoundService[];
  /** As people know a provider. */
  readonly describe: DescribeProvider;
}

/** What the `http` listeners answer beside calls, by the services that they serve. */
export type MakeRoutes = (services: readonly BoundService[], onUnexpected: OnUnexpected) => Routes;

/** What extensions add to a daemon, before any listener is made. */
export class Registry {
  readonly #rpcs: ServiceDefinition[] = [];
  readonly #openServices: MakeOpenServices[] = [];
  readonly #routes: MakeRoutes[] = [];
  readonly #pages: OpsPages[] = [];
  readonly #ledPages: [listener: string, answer: AnswerPage][] = [];
  readonly #listeners: ((ground: PagesGround) => ExtensionListeners)[] = [];
  readonly #parts: Part[] = [];
  readonly #partsOfTerm: Part[] = [];
  readonly #once = new Map<keyof Once, Once[keyof Once]>();

  /** A service at every listener of calls. Each RPC has its options in its proto; `defineService` describes one whose proto is not ours. */
  rpc(service: ServiceDefinition): void {
    this.#rpcs.push(service);
  }

  /** Services at every listener of calls, for callers that show no credential. */
  openService(make: MakeOpenServices): void {
    this.#openServices.push(make);
  }

  /** What the `http` listeners answer beside calls. */
  route(make: MakeRoutes): void {
    this.#routes.push(make);
  }

  /** A page of the ops listener. @param path begins with a slash */
  page(path: string, render: OpsPages[string]): void {
    this.#pages.push({ [path]: render });
  }

  /** What its listener of this name shows browsers, where another daemon asks the one that leads. */
  ledPage(listener: string, answer: AnswerPage): void {
    this.#ledPages.push([listener, answer]);
  }

  /** A listener of its own, whose addresses are a setting of the extension. */
  listener(make: (ground: PagesGround) => ExtensionListeners): void {
    this.#listeners.push(make);
  }

  /**
   * What runs. Parts start in the order of the extensions, before the first caller is served; of daemons that share a store, where one leads
   * and each time it begins to, unless a part runs everywhere.
   */
  part(part: Part, { isEverywhere = false }: { readonly isEverywhere?: boolean } = {}): void {
    (isEverywhere ? this.#parts : this.#partsOfTerm).push(part);
  }

  /** Verifies the JWTs that callers show. @throws Error when another extension does */
  jwt(verify: Once["jwt"]): void {
    this.#add("jwt", verify);
  }

  /** Signs people in at issuers. @throws Error when another extension does */
  signIn(signIn: SignIn): void {
    this.#add("signIn", signIn);
  }

  /** Asks people about requests that a rule holds. @throws Error when another extension does */
  approver(ask: Once["approver"]): void {
    this.#add("approver", ask);
  }

  /** Remembers what the requests of sessions did. @throws Error when another extension does */
  memory(memory: Once["memory"]): void {
    this.#add("memory", memory);
  }

  /** Counts limited uses. @throws Error when another extension does */
  uses(counts: Once["uses"]): void {
    this.#add("uses", counts);
  }

  /** See `Core.approvalUrl`. @throws Error when another extension has that page */
  approvalPage(urlOf: Once["approvalPage"]): void {
    this.#add("approvalPage", urlOf);
  }

  /** Where a link below `/c/` leads. @throws Error when another extension has such links */
  links(follow: Once["links"]): void {
    this.#add("links", follow);
  }

  /** Who asks people about held requests, once that is registered. */
  readonly registeredApprover = (): AskApprovers | undefined => this.#get("approver");

  /** What remembers sessions, once that is registered. */
  readonly registeredMemory = (): SessionMemory | undefined => this.#get("memory");

  /** What counts limited uses, once that is registered. */
  readonly registeredUses = (): UseCounts | undefined => this.#get("uses");

  /** What signs people in, once that is registered. */
  readonly registeredSignIn = (): SignIn | undefined => this.#get("signIn");

  /** What was registered. */
  get added() {
    return {
      rpcs: this.#rpcs,
      openServices: this.#openServices,
      routes: this.#routes,
      pages: Object.assign({}, ...this.#pages) as OpsPages,
      ledPages: this.#ledPages,
      listeners: this.#listeners,
      /** Of every daemon. */
      parts: this.#parts,
      /** Of a daemon that is alone or leads. */
      partsOfTerm: this.#partsOfTerm,
      jwt: this.#get("jwt"),
      approver: this.#get("approver"),
      approvalPage: this.#get("approvalPage"),
      links: this.#get("links"),
    };
  }

  #add<Name extends keyof Once>(name: Name, one: Once[Name]): void {
    if (this.#once.has(name)) throw new Error(`two extensions register ${name}`);
    this.#once.set(name, one);
  }

  #get<Name extends keyof Once>(name: Name): Once[Name] | undefined {
    return this.#once.get(name) as Once[Name] | undefined;
  }
}

/** What there can be one of. */
interface Once {
  readonly jwt: NonNullable<AuthenticateOptions["jwt"]>;
  readonly signIn: SignIn;
  readonly approver: AskApprovers;
  readonly memory: SessionMemory;
  readonly uses: UseCounts;
  readonly approvalPage: (link: string) => string | undefined;
  readonly links: (code: string) => Promise<FollowOutcome>;
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

/** The tables that a store has beside its own. */
export function tablesOf(extensions: readonly Extension[]): readonly ExtensionTable[] {
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
