import type { AskApprovers } from "../../domain/access/request_rules.js";
import type { CredentialReaderDeps } from "../../domain/credentials/credential_reader.js";
import type { Refresher, Refreshes } from "../../domain/refresh/refresher.js";
import type { TokenAcquirerDeps } from "../../domain/tokens/acquire/token_acquirer.js";
import type { RejectedTokens } from "../../domain/tokens/report/rejected_tokens.js";
import type { Tokens } from "../../domain/tokens/tokens.js";
import type { OutboundFetch } from "../../outbound/outbound_fetch.js";
import type { Answer } from "../../server/listen/http_listener.js";
import type { BrowserPages, BrowserRequest } from "../../server/pages/browser_pages.js";
import type { ServiceDefinition } from "../../service/pipeline/service_definition.js";
import type { FleetControl } from "../../service/services/fleet_control_service.js";
import type { MemberStatus } from "../../service/services/status_service.js";

/** What a spoke has instead of the parts that only a hub has. */
export interface HubOnlyParts {
  /** What makes links and connections. */
  readonly links: Pick<TokenAcquirerDeps, "requests" | "unattended">;
  /** What acts on a report. */
  readonly reports: Pick<RejectedTokens, "report">;
  /** Tokens without a key beside them. */
  unboundTokens(tokens: Tokens): Pick<Tokens, "getToken">;
  /** The store, of whose profiles nothing counts. */
  withoutProfiles(store: CredentialReaderDeps["store"]): CredentialReaderDeps["store"];
}

/** What the domain asks its hub. */
export interface DomainHub {
  /** Whether this hub acts itself. */
  readonly leads: boolean;
  /** Whether a request to a provider may begin. */
  readonly sending: { maySend(): boolean };
  /** The same way out to providers, whose outcomes this hub notes. Undefined at a spoke, which calls none. */
  watched?(outbound: OutboundFetch): OutboundFetch;
  /** Asks at the hub that leads. Undefined where each asks by itself. */
  approver?(own: AskApprovers): AskApprovers;
  /** Refreshes at the hub that leads. */
  refresher(own: Refresher): Refreshes;
  /** Of a spoke, whose connections are copies of a hub's: what the copy does not have is a hub's to do. */
  readonly hubOnlyParts?: HubOnlyParts;
  following(): true | string;
  /** Brings the copy of this hub to where the fleet is now, as far as the database can be asked. */
  catchUp(): Promise<void>;
  /** Addresses of the hubs that do not hold a key. */
  lacking(keyId: string): readonly string[];
}

/** What a hub is to the services. */
export interface HubServices extends FleetControl, MemberStatus {
  /** Whether this hub acts itself. */
  readonly leads: boolean;
  /** As `ledService`. */
  led(service: ServiceDefinition): ServiceDefinition;
}

/** What a hub is to the listeners. */
export interface ListenersHub extends HubServices {
  /** A page of the hub that leads; undefined where this one does. */
  page(visit: BrowserRequest, own: BrowserPages): Promise<Answer> | undefined;
  catchUp: DomainHub["catchUp"];
}
