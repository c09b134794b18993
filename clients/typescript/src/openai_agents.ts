/**
 * Tools of the OpenAI Agents SDK that need a user's account. They take the user from the run's context, never from what a model writes.
 * Where the user must consent first the call needs an approval, so that the run ends with `interruptions`: `answer` decides them.
 */
import {
  type Account,
  ApprovedAccount,
  CallAgain,
  Consents,
  declined,
  type Need,
  type OutputOf,
  type Show,
} from "./account.js";
import type { Limits } from "./time_limit.js";

export type { Account, Need, Show };

/** The `RunContext` of the SDK. */
export interface RunContext {
  readonly context: unknown;
}

export interface Call extends RunContext {
  readonly account: Account;
  readonly signal: AbortSignal | undefined;
}

export interface Definition<PARAMETERS, OUTPUT> extends Need {
  readonly parameters: PARAMETERS;
  readonly execute: (input: OutputOf<PARAMETERS, unknown>, call: Call) => OUTPUT | Promise<OUTPUT>;
}

/** Options for the `tool` of the SDK. */
export interface AccountTool<PARAMETERS, OUTPUT> {
  parameters: PARAMETERS;
  needsApproval: (run: RunContext) => Promise<boolean>;
  execute: (
    input: OutputOf<PARAMETERS, unknown>,
    run?: RunContext,
    details?: { readonly signal?: AbortSignal },
  ) => Promise<OUTPUT | string>;
}

/** By `needsApproval`, which `tool` keeps. */
const accounts = new WeakMap<object, ApprovedAccount>();

/** What makes a tool need a user's account at a provider, which `execute` gets as `account`: `tool({ name, description, ...needs(…) })`. */
export function needs<PARAMETERS, OUTPUT>(
  provider: string,
  { parameters, execute, ...need }: Definition<PARAMETERS, OUTPUT>,
): AccountTool<PARAMETERS, OUTPUT> {
  const approved = new ApprovedAccount(provider, need);
  const needsApproval = ({ context }: RunContext): Promise<boolean> => approved.needsApproval(context);
  accounts.set(needsApproval, approved);
  return {
    parameters,
    needsApproval,
    execute: async (input, run, { signal } = {}) => {
      const context = run?.context;
      try {
        return await approved.run(context, signal, (account) => execute(input, { account, context, signal }));
      } catch (error) {
        // The SDK would hide the message from the model.
        if (error instanceof CallAgain) return error.message;
        throw error;
      }
    },
  };
}

export interface AnswerOptions extends Limits {
  /** That of the run: whose links these are. */
  readonly context: unknown;
  readonly onConsent: Show;
}

/** A `RunToolApprovalItem` of the SDK. */
export interface Interruption {
  readonly name?: string | undefined;
  readonly agent: { readonly tools: readonly object[] };
}

/** The `RunState` of the SDK. */
export interface RunState {
  getInterruptions(): readonly Interruption[];
  approve(item: Interruption): void;
  reject(item: Interruption, options: { message: string }): void;
}

/**
 * Shows the links that an interrupted run waits for, waits for the user, and approves or rejects. It leaves other approvals open.
 *
 * @param state `result.state`, or one that was loaded
 * @returns `state`, to run the agent with
 */
export async function answer<STATE extends RunState>(
  state: STATE,
  { context, onConsent, signal, timeoutMs }: AnswerOptions,
): Promise<STATE> {
  const ended = new AbortController();
  const all = signal ? AbortSignal.any([ended.signal, signal]) : ended.signal;
  const consents = new Consents(onConsent, { signal: all, timeoutMs });
  const decisions = state.getInterruptions().map(async (item) => {
    const account = approvedOf(item)?.of(context);
    if (!account) return;
    if (await consents.of(account)) state.approve(item);
    else state.reject(item, { message: declined(account) });
  });
  try {
    await Promise.all(decisions);
    return state;
  } finally {
    ended.abort();
  }
}

function approvedOf({ name, agent }: Interruption): ApprovedAccount | undefined {
  const tools = agent.tools as readonly { readonly name?: unknown; readonly needsApproval?: unknown }[];
  return accounts.get(tools.find((tool) => tool.name === name)?.needsApproval as object);
}
