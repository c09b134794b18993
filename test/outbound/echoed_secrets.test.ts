import { expect, test } from "vitest";
import { withoutEchoes } from "../../src/outbound/json_response.js";
import type { OutboundRequest } from "../../src/outbound/outbound_fetch.js";

const request = (form: Record<string, string>, authorization?: string): OutboundRequest => ({
  method: "POST",
  headers: authorization === undefined ? {} : { authorization },
  body: new URLSearchParams(form),
});

test.each<[what: string, request: OutboundRequest, text: string, left: string]>([
  [
    "a secret, and what is none",
    request({ client_id: "nexus", client_secret: "s3cret!" }),
    "nexus: s3cret! is wrong",
    "nexus: [redacted] is wrong",
  ],
  ["a refresh token", request({ refresh_token: "1//abc" }), "no '1//abc'", "no '[redacted]'"],
  [
    "a secret by Basic",
    request({}, `Basic ${Buffer.from("nexus:s3%20cret!").toString("base64")}`),
    "s3 cret! or s3%20cret!",
    "[redacted] or [redacted]",
  ],
  ["a value as short as a word", request({ code: "code" }), "the code", "the code"],
])("an answer does not repeat %s", (_what, sent, text, left) => {
  expect(withoutEchoes(text, sent)).toBe(left);
});
