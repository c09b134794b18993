/** A scripted model: it calls the tool once, then answers. Save it as my_app.ts. */
import { MockLanguageModelV3 } from "ai/test";

const usage = {
  inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 },
};

export const model = new MockLanguageModelV3({
  doGenerate: async ({ prompt }) =>
    prompt.some(({ role }) => role === "tool")
      ? {
          content: [{ type: "text", text: "Done." }],
          finishReason: { unified: "stop", raw: "stop" },
          usage,
          warnings: [],
        }
      : {
          content: [{ type: "tool-call", toolCallId: "1", toolName: "listRepos", input: "{}" }],
          finishReason: { unified: "tool-calls", raw: "tool-calls" },
          usage,
          warnings: [],
        },
});
