import { STATUS_CODES } from "node:http";
import { type ApiAnswer, printable } from "../../../cli/kit.js";
import { lookAheadBytes, type Redaction } from "./redaction.js";

/** Headers that help a model to go on; cookies and the rest are of no use to it. */
const modelHeaders =
  /^(content-type|content-length|content-encoding|content-language|link|location|etag|last-modified|retry-after|allow|www-authenticate|deprecation|sunset|warning|x-request-id|x-(ratelimit|total|page|next).*|ratelimit.*)$/;
/** Of the line of a header. */
const maxLineLength = 1024;

/** Media types whose bodies are text. */
const textual =
  /^(text\/|application\/([\w.+-]*\+)?(json|xml|yaml|x-yaml|javascript|graphql|x-ndjson|ndjson|x-www-form-urlencoded|problem))/i;

/** What a model reads of an answer: the head, the body, and what is missing of it. */
export interface ReadAnswer {
  readonly head: string;
  readonly body: string;
  /** Undefined when all is there. */
  readonly note: string | undefined;
}

/** Reads no more of the body than the model gets. @throws CommandFailure when it breaks off */
export async function readAnswer(
  answer: ApiAnswer,
  redaction: Redaction,
  maxBytes: number,
): Promise<ReadAnswer> {
  // Searched before anything is cut or replaced.
  const lines = redaction.apply(headOf(answer)).split("\n");
  const head = lines.map((line) => printable(line).slice(0, maxLineLength)).join("\n");
  const decoder = decoderOf(answer);
  const omitted = omissionOf(answer, decoder);
  if (decoder === undefined || omitted !== undefined) {
    answer.dismiss();
    return { head, body: "", note: omitted };
  }
  const { bytes, hasMore } = await readUpTo(answer, maxBytes + lookAheadBytes);
  const text = decoder.decode(bytes);
  const start = decoder.decode(bytes.subarray(0, maxBytes));
  // Half a character at the cut.
  const length = start.endsWith("\ufffd") && !text.startsWith(start) ? start.length - 1 : start.length;
  const isCut = hasMore || bytes.length > maxBytes;
  return { head, body: redaction.apply(text, length), note: isCut ? cutNote(maxBytes) : undefined };
}

function headOf({ status, headers }: ApiAnswer): string {
  const lines = [`HTTP ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd()];
  for (const [name, value] of Object.entries(headers)) {
    if (modelHeaders.test(name)) lines.push(`${name}: ${value}`);
  }
  if (status >= 300 && status < 400 && headers.location !== undefined)
    lines.push("(redirects are not followed: call again with a path below the API base URL)");
  return lines.join("\n");
}

/** Why there is no body to show; undefined when there is. It repeats no header: those are in the head, searched. */
function omissionOf(
  { headers }: ApiAnswer,
  decoder: InstanceType<typeof TextDecoder> | undefined,
): string | undefined {
  const coding = headers["content-encoding"]?.toLowerCase();
  if (coding !== undefined && coding !== "identity")
    return "[the body is not shown: the API sent it in a coding that was not asked for]";
  const type = headers["content-type"];
  if (type !== undefined && !textual.test(type.trim())) return "[the body is not shown: it is not text]";
  return decoder === undefined ? "[the body is not shown: its charset is not known]" : undefined;
}

function cutNote(maxBytes: number): string {
  return `[cut after ${maxBytes} bytes: ask for less, by a page, a filter or fewer fields]`;
}

async function readUpTo(
  answer: ApiAnswer,
  maxBytes: number,
): Promise<{ readonly bytes: Buffer; readonly hasMore: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body()) {
    chunks.push(chunk);
    length += chunk.length;
    if (length <= maxBytes) continue;
    answer.dismiss();
    break;
  }
  return { bytes: Buffer.concat(chunks).subarray(0, maxBytes), hasMore: length > maxBytes };
}

function decoderOf({ headers }: ApiAnswer): InstanceType<typeof TextDecoder> | undefined {
  const [, charset = "utf-8"] = /;\s*charset="?([\w.:-]+)/i.exec(headers["content-type"] ?? "") ?? [];
  try {
    return new TextDecoder(charset);
  } catch {
    return undefined;
  }
}
