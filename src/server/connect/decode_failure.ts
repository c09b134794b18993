import type { UniversalServerResponse } from "@connectrpc/connect/protocol";

/**
 * What the library says of JSON that it cannot decode, up to what it found there. It goes on with the value, and a value in the wrong place
 * may be a secret, which the caller's log should not get to hold, or steer the terminal that shows it.
 */
const decodeFailure = /cannot decode (?:(?:field|message|enum|oneof) )?[\w.]+ from JSON/;

/** The same answer, with nothing of the request in what is said of a message that could not be decoded. */
export function withoutValues(answer: UniversalServerResponse): UniversalServerResponse {
  for (const fields of [answer.header, answer.trailer]) {
    const message = fields?.get("grpc-message");
    if (message) fields?.set("grpc-message", encodeURIComponent(withoutValue(decoded(message))));
  }
  const type = answer.header?.get("content-type") ?? "";
  if (answer.status === 200 || !type.startsWith("application/json") || !answer.body) return answer;
  answer.header?.delete("content-length");
  return { ...answer, body: rewritten(answer.body as AsyncIterable<Uint8Array>) };
}

/** An error of Connect is one chunk (its specification, "Error end-stream"). */
async function* rewritten(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    const error = JSON.parse(Buffer.from(chunk).toString("utf8")) as { message?: unknown };
    if (typeof error.message !== "string") yield chunk;
    else yield Buffer.from(JSON.stringify({ ...error, message: withoutValue(error.message) }));
  }
}

/** The library names neither the field of these nor their form. */
const forms: Readonly<Record<string, string>> = {
  Duration: 'a duration is a text of seconds, as "60s"',
  Timestamp: 'a time is a text as "2026-01-31T12:00:00Z"',
};

function withoutValue(message: string): string {
  const [what] = decodeFailure.exec(message) ?? [];
  if (what === undefined) return message;
  const [, wellKnown = ""] = / google\.protobuf\.(\w+) from/.exec(what) ?? [];
  return `${what}: ${forms[wellKnown] ?? "it is no such value"}`;
}

function decoded(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
