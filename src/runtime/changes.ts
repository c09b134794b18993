import { EventEmitter } from "node:events";

/** A connection whose stored state changed. */
export interface ChangedConnection {
  readonly connectionId: string;
  readonly userId: string;
  readonly providerId: string;
  readonly label: string;
  /** When it is due now; undefined when it is not. */
  readonly dueAtMs: number | undefined;
}

/** See `Changes`. */
export interface FollowedRecords {
  readonly providerIds: readonly string[];
  readonly apiKeyIds: readonly string[];
  /** Whether the primary key or the epoch is another one. */
  readonly storeRecord: boolean;
}

/** A request that waits for a person. */
export interface WaitingRequest {
  readonly caller: string;
  readonly connectionId: string;
  readonly userId: string;
  readonly provider: { readonly id: string; readonly name: string };
  readonly expiresAtMs: number;
  /** Of the page at which it is answered; undefined where there is none. */
  readonly url: string | undefined;
  /** Aborts when it waits no more. */
  readonly ended: AbortSignal;
}

/** A request that the rules let go, as its sender described it. */
export interface LetGoRequest {
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly target: string | undefined;
  readonly unclearHeaders?: readonly string[];
}

const maxListeners = 30;

interface ChangeEvents {
  /** Connections that one commit changed, each named once, when that is durable and before the commit resolves. */
  connections: [changed: readonly ChangedConnection[]];
  /** Records that another daemon wrote came here, beside connections: the ids of their profiles and API keys. */
  followed: [records: FollowedRecords];
  /** The profile of this provider was changed or deleted. */
  provider: [providerId: string];
  /** The provider accepted the client of its profile for a consent. */
  clientAccepted: [providerId: string];
  /** A consent at this provider came to nothing; `reason` is a `ProblemReason`. */
  consentFailed: [providerId: string, reason: string];
  /** A token that is to be revoked at its provider is durable in the queue. */
  revocationQueued: [];
  /** The API key of this principal (`key:NAME`) was revoked, or the principal was stopped, or may call again. */
  principalEnded: [principalName: string];
  /** Another policy file is in force: its digest, hexadecimal; empty for none. */
  policyChanged: [digest: string];
  /** The ring has another primary key, or other keys. */
  ring: [];
  /** The API key of this principal has another secret, and the old one works until then. */
  keyRotated: [principalName: string, oldUntilMs: number];
  /** A person is asked about a request; in a fleet, at the hub that leads. */
  requestHeld: [waiting: WaitingRequest];
  /** A request to this provider was let go that a rule in shadow would have refused. */
  shadowDenied: [providerName: string];
  /** A request of this principal was let go. Where something hears of it, each request is described. */
  requestLetGo: [principalName: string, connectionId: string, request: LetGoRequest];
}

/** What the parts of the domain notify each other of. Listeners are called at once, in the order of their subscription; none may throw. */
export class Changes extends EventEmitter<ChangeEvents> {
  constructor() {
    super();
    // Parts that live as long as the daemon; Node warns of a leak from the eleventh on.
    this.setMaxListeners(maxListeners);
  }
}
