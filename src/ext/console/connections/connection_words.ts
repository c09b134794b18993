import { type Connection, ConnectionStatus, type Problem } from "../../../gen/nexus/v1/connection_pb.js";

/** A state in a word for people, and the class of its colour. */
export interface StateWord {
  readonly text: string;
  readonly tone: "good" | "warn" | "bad" | "idle";
}

const states: Readonly<Record<ConnectionStatus, StateWord>> = {
  [ConnectionStatus.UNSPECIFIED]: { text: "Unknown", tone: "idle" },
  [ConnectionStatus.PENDING]: { text: "Waiting for consent", tone: "warn" },
  [ConnectionStatus.ACTIVE]: { text: "Active", tone: "good" },
  [ConnectionStatus.ATTENTION]: { text: "Needs a person", tone: "bad" },
  [ConnectionStatus.REVOKED]: { text: "Revoked", tone: "idle" },
  [ConnectionStatus.EXPIRED]: { text: "Not consented in time", tone: "idle" },
  [ConnectionStatus.FAILED]: { text: "Failed", tone: "bad" },
};

export function stateWord({ status, problem, awaitingConfirmation }: Connection): StateWord {
  if (awaitingConfirmation) return { text: `${states[status].text}, consent to be confirmed`, tone: "warn" };
  if (status !== ConnectionStatus.ACTIVE || !problem) return states[status];
  return { text: "Active, with a problem", tone: "warn" };
}

const askAgain = "Ask for consent again.";
const waits = "If that goes on, look at the provider.";
const ofProfile = "Correct the provider's profile, then ask for consent again.";

/** What a person does about a problem, by its word; the others need consent again. */
const advice: Readonly<Record<string, string>> = {
  misconfigured: "Correct the provider's client id, secret or addresses.",
  client_rejected: ofProfile,
  issuer_mismatch: ofProfile,
  unsupported_demand: ofProfile,
  invalid_authorization_response: ofProfile,
  provider_deleted: "Register the provider again, and ask for a new connection.",
  refresh_failing: waits,
  restored: waits,
  provider_unreachable: "Wait until the provider answers, then ask for consent again.",
  clock_skew: "Set the clock of this machine, then ask for consent again.",
};

export function adviceOf({ reason }: Problem): string {
  return advice[reason] ?? askAgain;
}

/** The states of the filter: word in addresses, text, number of the contract. */
export const stateFilters: readonly (readonly [word: string, text: string, status: ConnectionStatus])[] = [
  ["attention", "Needs a person", ConnectionStatus.ATTENTION],
  ["active", "Active", ConnectionStatus.ACTIVE],
  ["pending", "Waiting for consent", ConnectionStatus.PENDING],
  ["failed", "Failed", ConnectionStatus.FAILED],
  ["expired", "Not consented in time", ConnectionStatus.EXPIRED],
  ["revoked", "Revoked", ConnectionStatus.REVOKED],
];
