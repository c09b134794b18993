/** A server with the tools whose names the suite knows, for `nexusd mcp`'s HTTP listener: it judges how that carries them. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallToolResult,
  createRequestStateCodec,
  type InputRequests,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import { z } from "zod";

const states = createRequestStateCodec({ key: randomBytes(32) });
/** A picture of one point, and a sound of no length. */
const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

type Answer = CallToolResult | InputRequiredResult;
type Tool = (context: ServerContext) => Answer | Promise<Answer>;

const text = (words: string): CallToolResult => ({ content: [{ type: "text", text: words }] });
const image = { type: "image", data: png, mimeType: "image/png" } as const;
const resource = (uri: string, mimeType: string, words: string) =>
  ({ type: "resource", resource: { uri, mimeType, text: words } }) as const;
const asking = (message: string, name: string, type = "string") =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [name]: { type } }, required: [name] } as never,
  });
const sampling = (words: string, maxTokens: number) =>
  inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: words } }],
    maxTokens,
  });
const answerTo = ({ mcpReq }: ServerContext, key: string) => inputResponse(mcpReq.inputResponses, key);
const fieldOf = (context: ServerContext, key: string, field: string): string | undefined => {
  const answer = answerTo(context, key);
  const value = answer.kind === "elicit" && answer.action === "accept" ? answer.content?.[field] : undefined;
  return value === undefined ? undefined : String(value);
};

/** The first answers at once, and the next when the client has answered it. */
function oneQuestion(key: string, request: InputRequests[string], done: Tool): Tool {
  return (context) =>
    answerTo(context, key).kind === "missing"
      ? inputRequired({ inputRequests: { [key]: request } })
      : done(context);
}

const tools: Readonly<Record<string, Tool>> = {
  test_simple_text: () => text("This is a simple text response for testing."),
  test_image_content: () => ({ content: [image] }),
  test_audio_content: () => ({ content: [{ type: "audio", data: wav, mimeType: "audio/wav" }] }),
  test_embedded_resource: () => ({
    content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  }),
  test_multiple_content_types: () => ({
    content: [
      { type: "text", text: "Multiple content types test:" },
      image,
      resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  }),
  test_error_handling: () => {
    throw new Error("This tool intentionally returns an error for testing");
  },
  test_tool_with_logging: async ({ mcpReq }) => {
    for (const words of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await mcpReq.log("info", words);
      await sleep(50);
    }
    return text("done");
  },
  test_logging_tool: async ({ mcpReq }) => {
    await mcpReq.log("info", "a line");
    return text("done");
  },
  test_tool_with_progress: async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      const params = { progressToken: progressToken ?? "", progress, total: 100 };
      if (progressToken !== undefined) await mcpReq.notify({ method: "notifications/progress", params });
      await sleep(50);
    }
    return text("done");
  },
  test_missing_capability: () => inputRequired({ inputRequests: { words: sampling("Hello", 10) } }),
  test_streaming_elicitation: async (context) => {
    await context.mcpReq.log("info", "asking");
    return oneQuestion("name", asking("What is your name?", "name"), () => text("done"))(context);
  },
  test_input_required_result_elicitation: (context) => {
    const name = fieldOf(context, "user_name", "name");
    const user_name = asking("What is your name?", "name");
    return name === undefined ? inputRequired({ inputRequests: { user_name } }) : text(`Hello, ${name}!`);
  },
  test_input_required_result_sampling: oneQuestion(
    "capital_question",
    sampling("What is the capital of France?", 100),
    (context) => text(JSON.stringify(context.mcpReq.inputResponses?.["capital_question"])),
  ),
  test_input_required_result_list_roots: oneQuestion("client_roots", inputRequired.listRoots(), (context) =>
    text(JSON.stringify(context.mcpReq.inputResponses?.["client_roots"])),
  ),
  test_input_required_result_request_state: (context) => stateful(context, "state-ok"),
  test_input_required_result_tampered_state: (context) => stateful(context, "state-ok"),
  test_input_required_result_multiple_inputs: async (context) => {
    const inputRequests = {
      user_name: asking("What is your name?", "name"),
      greeting: sampling("Generate a greeting", 50),
      client_roots: inputRequired.listRoots(),
    };
    const isComplete = Object.keys(inputRequests).every((key) => answerTo(context, key).kind !== "missing");
    return isComplete
      ? text("done")
      : inputRequired({ inputRequests, requestState: await states.mint("asked") });
  },
  test_input_required_result_multi_round: async (context) => {
    const name = fieldOf(context, "step1", "name");
    const color = fieldOf(context, "step2", "color");
    if (color !== undefined) return text(`${context.mcpReq.requestState<string>()} likes ${color}`);
    const [key, question, state] =
      name === undefined
        ? (["step1", asking("Step 1: What is your name?", "name"), "round 1"] as const)
        : (["step2", asking("Step 2: What is your favorite color?", "color"), name] as const);
    return inputRequired({ inputRequests: { [key]: question }, requestState: await states.mint(state) });
  },
  test_input_required_result_capabilities: ({ mcpReq }) => {
    const envelope = mcpReq.envelope as Readonly<Record<string, Record<string, object>>> | undefined;
    const declared = envelope?.["io.modelcontextprotocol/clientCapabilities"] ?? {};
    const inputRequests = {
      ...(declared["sampling"] ? { words: sampling("Hello", 10) } : {}),
      ...(declared["elicitation"] ? { name: asking("What is your name?", "name") } : {}),
    };
    return inputRequired({ inputRequests });
  },
};

async function stateful(context: ServerContext, words: string): Promise<Answer> {
  if (answerTo(context, "confirm").kind !== "missing" && context.mcpReq.requestState() === "asked")
    return text(words);
  const confirm = asking("Please confirm", "ok", "boolean");
  return inputRequired({ inputRequests: { confirm }, requestState: await states.mint("asked") });
}

export function makeSuiteServer(): McpServer {
  const server = new McpServer(
    { name: "suite", version: "1" },
    { capabilities: { tools: {}, logging: {} }, requestState: { verify: states.verify } },
  );
  for (const [name, tool] of Object.entries(tools)) server.registerTool(name, {}, tool);
  server.registerTool(
    "test_sampling",
    { inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, { mcpReq }) => {
      const messages = [{ role: "user" as const, content: { type: "text" as const, text: prompt } }];
      const { content } = await mcpReq.requestSampling({ messages, maxTokens: 100 });
      return text(`LLM response: ${JSON.stringify(content)}`);
    },
  );
  server.registerTool(
    "test_elicitation",
    { inputSchema: z.object({ message: z.string() }) },
    async ({ message }, { mcpReq }) => {
      const properties = { username: { type: "string" as const }, email: { type: "string" as const } };
      const requestedSchema = { type: "object" as const, properties, required: ["username", "email"] };
      const { action, content } = await mcpReq.elicitInput({ mode: "form", message, requestedSchema });
      return text(`User response: ${action}, ${JSON.stringify(content)}`);
    },
  );
  return server;
}
