import {
  type AgentOutputType,
  type Model,
  type ModelRequest,
  RunContext,
  type RunResult,
  RunState,
  RunToolCallOutputItem,
  run,
  Agent as SdkAgent,
  setTracingDisabled,
  tool,
  Usage,
} from "@openai/agents";
import { assistantMessage, functionCall } from "@openai/agents/testing";
import type { Nexus } from "nexusd-client";
import { answer, needs, type Show } from "nexusd-client/openai-agents";
import { z } from "zod";
import { Agent, type Turns, toolOf } from "../agent.js";

setTracingDisabled(true);

interface Context {
  readonly user: string;
}
type Given = string | RunState<Context, SdkAgent<Context, AgentOutputType>>;
type Result = Pick<
  RunResult<Context, SdkAgent<Context, AgentOutputType>>,
  "interruptions" | "newItems" | "state"
>;

/** @param read gets all that the model is given to read */
export function scripted(toolName: string, turns: () => Turns, read: string[]): Model {
  const reply = ({ input }: ModelRequest) => {
    const text = JSON.stringify(input);
    read.push(text);
    const turn = new Set([...text.matchAll(/"callId":"c(\d+)-/g)].map(([, number]) => number)).size;
    const calls = (turns()[turn] ?? []).map((call, n) =>
      functionCall(toolOf(call, toolName), call, { callId: `c${turn}-${n}` }),
    );
    return calls.length > 0 ? calls : [assistantMessage("done")];
  };
  return {
    getResponse: async (request) => ({ usage: new Usage(), output: reply(request) }),
    async *getStreamedResponse(request) {
      const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
      yield { type: "response_done", response: { id: "r", usage, output: reply(request) } };
    },
  };
}

export class Harness extends Agent {
  readonly #agent: SdkAgent<Context, AgentOutputType>;

  constructor(nexus: Nexus, provider: string) {
    super(nexus, provider);
    const make = (name: string, scopes: readonly string[]) =>
      tool({
        name,
        description: "Works.",
        ...needs(provider, {
          ...{ nexus, scopes },
          parameters: z.looseObject({ note: z.string() }),
          execute: async ({ note }, { account }) => await this.body(account, note),
        }),
      });
    const model = scripted("work", () => this.turns, this.read);
    this.#agent = new SdkAgent<Context, AgentOutputType>({
      name: "a",
      model,
      tools: [make("work", []), make("wider", ["read"])],
    });
  }

  run(user: string, onConsent: Show, signal?: AbortSignal): Promise<string[]> {
    return this.#finish("go", user, onConsent, signal);
  }

  stream(user: string, onConsent: Show): Promise<string[]> {
    return this.#finish("go", user, onConsent, undefined, async (given) => {
      const result = await run(this.#agent, given, { context: { user }, stream: true });
      await result.completed;
      return result;
    });
  }

  async suspend(user: string): Promise<string> {
    return (await run(this.#agent, "go", { context: { user } })).state.toString();
  }

  async resume(saved: string, user: string, onConsent: Show): Promise<string[]> {
    const context = new RunContext({ user });
    const state = await RunState.fromStringWithContext(this.#agent, saved, context);
    return await this.#finish(await answer(state, { ...context, onConsent }), user, onConsent);
  }

  async #finish(
    given: Given,
    user: string,
    onConsent: Show,
    signal?: AbortSignal,
    step: (given: Given) => Promise<Result> = (it) => run(this.#agent, it, { context: { user } }),
  ): Promise<string[]> {
    let result = await step(given);
    while (result.interruptions.length > 0)
      result = await step(await answer(result.state, { context: { user }, onConsent, signal }));
    return result.newItems.flatMap((item) =>
      item instanceof RunToolCallOutputItem ? [String(item.output)] : [],
    );
  }
}
