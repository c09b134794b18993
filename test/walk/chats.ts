import type { IncomingMessage, ServerResponse } from "node:http";

export type Answer = (response: ServerResponse, body: string, request: IncomingMessage) => void;

export function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}

const secret = "walk-chat-secret";

/** Services of chats, which answer with what they would show, and refuse what theirs would: by their documents of 2026. */
export const chats: Readonly<Record<string, Answer>> = {
  // docs.ntfy.sh/publish/#publish-as-json: its errors are these, too.
  "ntfy.sh/": (response, body, { method, headers }) => {
    const { topic, title, message, click, ...others } = fieldsOf(body);
    if (headers.authorization !== `Bearer ${secret}`)
      answer(response, 401, { code: 40101, http: 401, error: "unauthorized" });
    else if (method !== "POST" || !isName(topic) || !areTexts([title, message]) || !isLink(click))
      answer(response, 400, {
        code: 40024,
        http: 400,
        error: "invalid request: request body must be valid JSON",
      });
    else answer(response, 200, { id: "walk", event: "message", topic, title, message, click, ...others });
  },
  // api.slack.com/messaging/webhooks: plain text in place of JSON, and `ok` where it is shown; here, what is shown.
  [`hooks.slack.com/services/${secret}`]: (response, body, { method, headers }) => {
    const { text } = fieldsOf(body);
    const isJson = headers["content-type"] === "application/json";
    if (method !== "POST" || !isJson || !areTexts([text])) response.writeHead(400).end("invalid_payload");
    else response.end(text);
  },
  // core.telegram.org/bots/api#sendmessage.
  [`api.telegram.org/bot${secret}/sendMessage`]: (response, body, { method, headers }) => {
    const { chat_id, text, parse_mode } = fieldsOf(body);
    const isJson = headers["content-type"] === "application/json";
    const isText = areTexts([text]) && (text as string).length <= 4_096 && parse_mode === undefined;
    if (method !== "POST" || !isJson || !Number.isSafeInteger(chat_id) || !isText)
      answer(response, 400, {
        ok: false,
        error_code: 400,
        description: "Bad Request: message text is empty",
      });
    else answer(response, 200, { ok: true, result: { message_id: 1, chat: { id: chat_id }, text } });
  },
};

function fieldsOf(body: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return {};
  }
}

const isName = (value: unknown) => typeof value === "string" && /^[-_A-Za-z0-9]{1,64}$/.test(value);
const areTexts = (values: readonly unknown[]) => values.every((one) => typeof one === "string" && one !== "");
const isLink = (value: unknown) => typeof value === "string" && /^https?:\/\//.test(value);
