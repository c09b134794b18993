/**
 * Tools of the Vercel AI SDK that need a user's account. They take the user from `experimental_context`, never from what a model writes.
 * Where the user must consent first the call needs an approval, which `answer` gives.
 */
import { type Account, accountOf, Consents, isForPerson, type Need, type Show } from "./account.js";
import { NexusError } from "./errors.js";
import type { Limits } from "./time_limit.js";

export type { Account, Need, Show };

/** A `ModelMessage` of the SDK. */
export interface Message {
  readonly role: string;
  readonly content: unknown;
}

/** What the SDK gives a tool that runs. */
export interface CallOptions {
  readonly toolCallId: string;
  readonly messages: readonly Message[];
  readonly abortSignal?: AbortSignal;
  readonly experimental_context?: unknown;
}

/** What the SDK infers from a schema: of zod or another standard schema, or its own `jsonSchema`. */
export type InputOf<SCHEMA> = SCHEMA extends { readonly "~standard": { readonly types?: infer TYPES } }
  ? NonNullable<TYPES> extends { readonly output: infer INPUT }
    ? INPUT
    : never
  : SCHEMA extends { readonly _type: infer INPUT }
    ? INPUT
    : never;

export interface Definition<SCHEMA, OUTPUT> extends Need {
  readonly title?: string;
  readonly description?: string;
  readonly inputSchema: SCHEMA;
  readonly execute: (
    input: InputOf<SCHEMA>,
    options: CallOptions & { readonly account: Account },
  ) => Promise<OUTPUT>;
}

/** A tool as the SDK takes it. */
export interface AccountTool<SCHEMA, OUTPUT> {
  title?: string;
  description?: string;
  inputSchema: SCHEMA;
  needsApproval: (input: InputOf<SCHEMA>, options: CallOptions) => Promise<boolean>;
  execute: (input: InputOf<SCHEMA>, options: CallOptions) => Promise<OUTPUT>;
}

/** By `needsApproval`, which a copy of a tool keeps. */
const accounts = new WeakMap<object, (context: unknown) => Account>();

/** A tool that needs a user's account at a provider, which `execute` gets as `account`. */
export function needs<SCHEMA, OUTPUT>(
  provider: string,
  { scopes = [], label, nexus, user, execute, ...rest }: Definition<SCHEMA, OUTPUT>,
): AccountTool<SCHEMA, OUTPUT> {
  const need: Need = { scopes, label, nexus, user };
  /** Scopes that an API missed, by user: the next call asks for them. */
  const missed = new Map<string, readonly string[]>();
  const find = (context: unknown, signal?: AbortSignal): Account => {
    const account = accountOf(provider, need, context, signal);
    const more = missed.get(account.user);
    return more ? accountOf(provider, { ...need, scopes: more }, context, signal) : account;
  };
  const needsApproval = async (_input: unknown, options: CallOptions): Promise<boolean> => {
    const { toolCallId, messages, experimental_context } = options;
    // The SDK asks again before it runs an approved call, and rejects a call that needs no approval by then.
    if (partsOf(messages).some((part) => isRequest(part) && part.toolCallId === toolCallId)) return true;
    try {
      await find(experimental_context).token();
      return false;
    } catch (error) {
      if (isForPerson(error)) return true;
      throw error;
    }
  };
  accounts.set(needsApproval, find);
  return {
    ...rest,
    needsApproval,
    async execute(input, options) {
      const account = find(options.experimental_context, options.abortSignal);
      try {
        await account.token();
        const output = await execute(input, { ...options, account });
        missed.delete(account.user);
        return output;
      } catch (error) {
        if (!isForPerson(error)) throw error;
        // The SDK cannot suspend a tool that runs: the model reads this, and its next call asks the user.
        missed.set(account.user, [...new Set([...(account.options.scopes ?? []), ...(error.scopes ?? [])])]);
        const next = "Call this tool again, and the user is asked.";
        throw new NexusError(`The user must grant more access to ${provider}. ${next}`, error.reason);
      }
    },
  };
}

export interface AnswerOptions extends Limits {
  readonly tools: Readonly<Record<string, { readonly needsApproval?: unknown }>>;
  /** The `experimental_context` of the run: whose links these are. */
  readonly context: unknown;
  readonly onConsent: Show;
}

interface ApprovalResponse {
  type: "tool-approval-response";
  approvalId: string;
  approved: boolean;
  reason?: string;
}

/**
 * Shows the links that the last step of `messages` waits for, and waits for the user.
 *
 * @returns the message to go on with; undefined when no tool of `needs` waits. It leaves other approvals open.
 */
export async function answer(
  messages: readonly Message[],
  { tools, context, onConsent, signal, timeoutMs }: AnswerOptions,
): Promise<{ role: "tool"; content: ApprovalResponse[] } | undefined> {
  const ended = new AbortController();
  const all = signal ? AbortSignal.any([ended.signal, signal]) : ended.signal;
  const consents = new Consents(onConsent, { signal: all, timeoutMs });
  const parts = partsOf(messages.filter(({ role }) => role === "assistant").slice(-1));
  const answered = new Set(
    partsOf(messages)
      .filter(isResponse)
      .map(({ approvalId }) => approvalId),
  );
  const open = parts.filter((part) => isRequest(part) && !answered.has(part.approvalId));
  const responses = open.map(async ({ approvalId = "", toolCallId }) => {
    const call = parts.find((part) => part.type === "tool-call" && part.toolCallId === toolCallId);
    const name = call?.toolName ?? "";
    const account = accounts.get(tools[name]?.needsApproval as object)?.(context);
    if (!account) return [];
    const approved = await consents.of(account);
    const reason = approved ? {} : { reason: `The user declined to connect ${account.provider}.` };
    return [{ type: "tool-approval-response" as const, approvalId, approved, ...reason }];
  });
  try {
    const content = (await Promise.all(responses)).flat();
    return content.length > 0 ? { role: "tool", content } : undefined;
  } finally {
    ended.abort();
  }
}

interface Part {
  readonly type?: string;
  readonly toolCallId?: string;
  readonly toolName?: string;
  readonly approvalId?: string;
}

function partsOf(messages: readonly Message[]): Part[] {
  return messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
}

function isResponse({ type }: Part): boolean {
  return type === "tool-approval-response";
}

function isRequest({ type }: Part): boolean {
  return type === "tool-approval-request";
}
