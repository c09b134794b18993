/** A scripted model: it calls the tool once, then answers. Save it as my_app.ts. */
import { setTracingDisabled } from "@openai/agents";
import { assistantMessage, functionCall, ScriptedModel } from "@openai/agents/testing";

setTracingDisabled(true);

export const model = new ScriptedModel([
  [functionCall("list_repos", {}, { callId: "1" })],
  [assistantMessage("Done.")],
]);
