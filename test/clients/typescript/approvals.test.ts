import { describe, expect, it, vi } from "vitest";
import { answer as answerMessages } from "../../../clients/typescript/src/ai.js";
import { answer as answerState, needs } from "../../../clients/typescript/src/openai_agents.js";

/** The cases with both SDKs are those of test/adapters. */
describe("an approval that is not nexusd's", () => {
  const options = { context: { user: "ada" }, onConsent: vi.fn() };
  const pay = { name: "pay", needsApproval: async () => true };

  it("is left open by the OpenAI Agents SDK's answer, beside a tool of nexusd", async () => {
    const ours = { name: "list", ...needs("github", { parameters: {}, execute: () => "" }) };
    const decided = vi.fn();
    const state = {
      getInterruptions: () => [{ name: "pay", agent: { tools: [ours, pay] } }],
      ...{ approve: decided, reject: decided },
    };
    expect(await answerState(state, options)).toBe(state);
    expect(decided).not.toHaveBeenCalled();
  });

  it("is left open by the Vercel AI SDK's answer", async () => {
    const content = [
      { type: "tool-call", toolCallId: "c", toolName: "pay" },
      { type: "tool-approval-request", toolCallId: "c", approvalId: "a" },
    ];
    const messages = [{ role: "assistant", content }];
    expect(await answerMessages(messages, { ...options, tools: { pay } })).toBeUndefined();
    expect(options.onConsent).not.toHaveBeenCalled();
  });
});
