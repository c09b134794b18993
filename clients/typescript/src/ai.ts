/**
 * Tools of the Vercel AI SDK that need a user's account. They take the user from `experimental_context`, never from what a model writes.
 * Where the user must consent first the call needs an approval, which `answer` gives.
 */
import {
  type Account,
  ApprovedAccount,
  Consents,
  declined,
  type Need,
  type OutputOf,
  type Show,
} from "./account.js";
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
export type InputOf<SCHEMA> = OutputOf<
  SCHEMA,
  SCHEMA extends { readonly _type: infer INPUT } ? INPUT : never
>;

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
const accounts = new WeakMap<object, ApprovedAccount>();

/** A tool that needs a user's account at a provider, which `execute` gets as `account`. */
export function needs<SCHEMA, OUTPUT>(
  provider: string,
  { scopes = [], label, nexus, user, execute, ...rest }: Definition<SCHEMA, OUTPUT>,
): AccountTool<SCHEMA, OUTPUT> {
  const approved = new ApprovedAccount(provider, { scopes, label, nexus, user });
  const needsApproval = async (_input: unknown, options: CallOptions): Promise<boolean> => {
    const { toolCallId, messages, experimental_context } = options;
    // The SDK asks again before it runs an approved call, and rejects a call that needs no approval by then.
    const isAsked = partsOf(messages).some((part) => isRequest(part) && part.toolCallId === toolCallId);
    return isAsked || (await approved.needsApproval(experimental_context));
  };
  accounts.set(needsApproval, approved);
  return {
    ...rest,
    needsApproval,
    execute: (input, options) =>
      approved.run(options.experimental_context, options.abortSignal, (account) =>
        execute(input, { ...options, account }),
      ),
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
    const account = accounts.get(tools[name]?.needsApproval as object)?.of(context);
    if (!account) return [];
    const approved = await consents.of(account);
    const reason = approved ? {} : { reason: declined(account) };
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
