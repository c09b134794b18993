import type { Limits } from "../../model/limits.js";
import type { Changes } from "../../runtime/changes.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import { CountedAudit } from "../access/access.js";
import type { CredentialWriter, VaultParts } from "../connections/connections.js";
import type { PendingConsents, RevocationQueue, TokenSpool } from "../grants/grants.js";
import type { CredentialTrial, McpLookup } from "../profiles/profiles.js";
import type {
  IssuerMetadata,
  TokenEndpointClient,
  UserInfoClient,
} from "../token_endpoint/token_endpoint.js";
import { CodeConsent } from "./code.js";
import { ConsentConfirmation } from "./confirmation.js";
import { ConsentCommits } from "./consent_commit.js";
import { ConsentEnding } from "./consent_ending.js";
import { ConnectionRequests } from "./consent_request.js";
import { DevicePoller, DeviceRequests } from "./device.js";
import { CaptureFormFlow, CredentialCapture } from "./form.js";
import { ConsentJudge } from "./ways.js";

export type { ConsentConfirmation } from "./confirmation.js";
export type {
  Asker,
  BrowserBinding,
  CaptureError,
  CaptureFlow,
  CaptureForm,
  CaptureFormOutcome,
  CaptureSchemaOutcome,
  ConsentDone,
  ConsentFailure,
  ConsentFlow,
  DroppedGrant,
  FinishOutcome,
  FollowOutcome,
  NamedProvider,
  RefusedConsent,
  StartOutcome,
  StepUpRequest,
  SubmitOutcome,
} from "./consent_outcomes.js";
export type {
  ConnectionRequest,
  ConnectionRequests,
  PendingLink,
  RequestedConnection,
} from "./consent_request.js";
export type { CredentialCapture } from "./form.js";

export interface ConsentDeps extends VaultParts {
  readonly changes: Changes;
  readonly pending: PendingConsents;
  readonly writer: CredentialWriter;
  readonly revocations: RevocationQueue;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  /** Shared with the refresher: one token request per connection, and one credential is written at a time. */
  readonly locks: KeyedMutex<string>;
  readonly servers: IssuerMetadata;
  readonly grants: Pick<
    TokenEndpointClient,
    | "exchangeCode"
    | "openResponse"
    | "pushAuthorization"
    | "signAuthorization"
    | "authorizeDevice"
    | "pollDevice"
  >;
  readonly userInfo: Pick<UserInfoClient, "accountOf">;
  readonly trial: Pick<CredentialTrial, "try">;
  readonly mcp?: McpLookup | undefined;
  /** Without a trailing slash. */
  readonly publicUrl: string;
  readonly allowedReturnOrigins: readonly string[];
  /** Every consent is to be confirmed, whatever the request says. */
  readonly requireConfirmation?: boolean;
  /** Whether a connection stays as it was when another account consents than before. */
  readonly refusesOtherAccounts: boolean;
  readonly limits?: Limits;
}

/** Consents: requested, given in one of the ways of `ways.ts`, and committed or ended. */
export interface Consents {
  readonly requests: ConnectionRequests;
  readonly commits: ConsentCommits;
  readonly consent: CodeConsent;
  /** Of callbacks with states that nobody requested, or that were used already. */
  readonly unknownStateAudit: CountedAudit;
  readonly capture: CredentialCapture;
  readonly captureForm: CaptureFormFlow;
  readonly poller: DevicePoller;
  readonly confirmer: ConsentConfirmation;
}

export function openConsents(deps: ConsentDeps): Consents {
  const ending = new ConsentEnding(deps);
  const commits = new ConsentCommits(deps);
  const judge = new ConsentJudge(deps);
  const ways = { ...deps, judge, ending, commits };
  const unknownStateAudit = new CountedAudit(deps);
  const poller = new DevicePoller(ways);
  const devices = new DeviceRequests({ grants: deps.grants, poller });
  const capture = new CredentialCapture(ways);
  return {
    requests: new ConnectionRequests({ ...deps, devices }),
    commits,
    consent: new CodeConsent({ ...ways, unknownStateAudit }),
    unknownStateAudit,
    capture,
    captureForm: new CaptureFormFlow({ ...ways, capture }),
    poller,
    confirmer: new ConsentConfirmation(ways),
  };
}
