import type { Nexus } from "nexusd-client";
import type { Account, Show } from "nexusd-client/ai";

export type Body = (account: Account, note: string) => Promise<string>;
export type Turns = readonly (readonly Record<string, unknown>[])[];

export const giveToken: Body = async (account, note) => `${note}:${(await account.token()).accessToken}`;

export const callApi: Body = async (account, note) => {
  const response = await account.fetch(`${process.env["API"]}/write`, { method: "POST" });
  return `${note}:${response.status}`;
};

/** What a case knows of a framework: an agent with the tools `work` and `wider`, whose model is scripted and keeps what it reads. */
export abstract class Agent {
  readonly read: string[] = [];
  body = giveToken;
  /** What the model calls `work` with, turn by turn, or the tool that the call names. */
  turns: Turns = [[{ note: "n" }]];

  constructor(
    readonly nexus: Nexus,
    readonly provider: string,
  ) {}

  /** Runs to the end; what the tools' calls gave the model, in their order. */
  abstract run(user: string, onConsent: Show, signal?: AbortSignal): Promise<string[]>;
  /** The same, by streaming. */
  abstract stream(user: string, onConsent: Show): Promise<string[]>;
  /** Runs until the user must consent: what another process needs to go on. */
  abstract suspend(user: string): Promise<string>;
  abstract resume(saved: string, user: string, onConsent: Show): Promise<string[]>;
}

export function toolOf(call: Readonly<Record<string, unknown>>, otherwise = "work"): string {
  return call["tool"] === "wider" ? "wider" : otherwise;
}
