import { generateText, type ModelMessage, stepCountIs, streamText, type ToolSet } from "ai";
import { convertArrayToReadableStream, MockLanguageModelV3 } from "ai/test";
import type { Nexus } from "nexusd-client";
import { answer, needs, type Show } from "nexusd-client/ai";
import { z } from "zod";
import { Agent, type Turns, toolOf } from "../agent.js";

/** @param read gets all that the model is given to read */
export function scripted(toolName: string, turns: () => Turns, read: string[]): MockLanguageModelV3 {
  const tokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const usage = { inputTokens: tokens, outputTokens: { total: 1, text: 1, reasoning: 0 } };
  const reply = (prompt: unknown) => {
    const text = JSON.stringify(prompt);
    read.push(text);
    const turn = new Set([...text.matchAll(/"toolCallId":"c(\d+)-/g)].map(([, number]) => number)).size;
    const content = (turns()[turn] ?? []).map((input, n) => ({
      type: "tool-call" as const,
      toolCallId: `c${turn}-${n}`,
      toolName: toolOf(input, toolName),
      input: JSON.stringify(input),
    }));
    const unified = content.length > 0 ? ("tool-calls" as const) : ("stop" as const);
    return { content, usage, finishReason: { unified, raw: undefined }, warnings: [] };
  };
  return new MockLanguageModelV3({
    doGenerate: async ({ prompt }) => reply(prompt),
    doStream: async ({ prompt }) => {
      const { content, finishReason } = reply(prompt);
      const end = { type: "finish" as const, finishReason, usage };
      return { stream: convertArrayToReadableStream([...content, end]) };
    },
  });
}

export class Harness extends Agent {
  readonly tools: ToolSet;
  readonly #model = scripted("work", () => this.turns, this.read);

  constructor(nexus: Nexus, provider: string) {
    super(nexus, provider);
    const make = (scopes: readonly string[]) =>
      needs(provider, {
        ...{ nexus, scopes },
        description: "Works.",
        inputSchema: z.looseObject({ note: z.string() }),
        execute: async ({ note }, { account }) => await this.body(account, note),
      });
    this.tools = { work: make([]), wider: make(["read"]) };
  }

  run(user: string, onConsent: Show, signal?: AbortSignal): Promise<string[]> {
    return this.#finish(
      [{ role: "user", content: "go" }],
      user,
      onConsent,
      (messages) => this.#step(messages, user),
      signal,
    );
  }

  stream(user: string, onConsent: Show): Promise<string[]> {
    return this.#finish([{ role: "user", content: "go" }], user, onConsent, async (messages) => {
      const result = streamText(this.#settings(messages, user));
      await result.consumeStream();
      return (await result.response).messages;
    });
  }

  async suspend(user: string): Promise<string> {
    const messages: ModelMessage[] = [{ role: "user", content: "go" }];
    return JSON.stringify([...messages, ...(await this.#step(messages, user))]);
  }

  async resume(saved: string, user: string, onConsent: Show): Promise<string[]> {
    const messages: ModelMessage[] = JSON.parse(saved);
    const message = await answer(messages, { tools: this.tools, context: { user }, onConsent });
    if (!message) throw new Error("nothing waits");
    return await this.#finish([...messages, message], user, onConsent, (all) => this.#step(all, user));
  }

  async #finish(
    messages: ModelMessage[],
    user: string,
    onConsent: Show,
    step: (messages: ModelMessage[]) => Promise<ModelMessage[]>,
    signal?: AbortSignal,
  ): Promise<string[]> {
    for (;;) {
      messages.push(...(await step(messages)));
      const message = await answer(messages, { tools: this.tools, context: { user }, onConsent, signal });
      if (!message) return resultsOf(messages);
      messages.push(message);
    }
  }

  async #step(messages: ModelMessage[], user: string): Promise<ModelMessage[]> {
    return (await generateText(this.#settings(messages, user))).response.messages;
  }

  #settings(messages: ModelMessage[], user: string) {
    const { tools } = this;
    return { model: this.#model, tools, messages, experimental_context: { user }, stopWhen: stepCountIs(9) };
  }
}

function resultsOf(messages: readonly ModelMessage[]): string[] {
  const parts = messages.flatMap(({ role, content }) => (role === "tool" ? content : []));
  return parts.flatMap((part) => {
    if (part.type !== "tool-result") return [];
    const { output } = part;
    if (output.type === "execution-denied") return [output.reason ?? ""];
    return [String(output.type === "content" ? "" : output.value)];
  });
}
