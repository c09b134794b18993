import { STATUS_CODES } from "node:http";
import { formatBytes } from "../../../model/quantity_text.js";
import type { ApiAnswer } from "../../credentials/api_call.js";
import { printable } from "../../shell/text.js";
import type { Redaction } from "./redaction.js";

/** Headers that tell a model how to go on; cookies and the rest are of no use to it. */
const shownHeaders =
  /^(content-type|content-length|content-language|link|location|etag|last-modified|retry-after|allow|www-authenticate|deprecation|sunset|warning|x-request-id|x-(ratelimit|total|page|next).*|ratelimit.*)$/;
/** Bytes of one header that are shown. */
const maxHeaderCharacters = 1024;

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

/** Reads no more of the body than is shown. @throws CommandFailure when it breaks off */
export async function readAnswer(
  answer: ApiAnswer,
  redaction: Redaction,
  maxBytes: number,
): Promise<ReadAnswer> {
  const head = redaction.apply(headOf(answer));
  const omitted = omissionOf(answer);
  if (omitted !== undefined) {
    answer.dismiss();
    return { head, body: "", note: omitted };
  }
  // A secret that begins before the cut is found as a whole: in UTF-16, which takes most bytes, four for each character.
  const { bytes, hasMore } = await readUpTo(answer, maxBytes + 4 * redaction.maxLength);
  const decoder = decoderOf(answer);
  const text = decoder.decode(bytes);
  const shown = decoder.decode(bytes.subarray(0, maxBytes));
  // Half a character at the cut.
  const length = shown.endsWith("\ufffd") && !text.startsWith(shown) ? shown.length - 1 : shown.length;
  const isCut = hasMore || bytes.length > maxBytes;
  return { head, body: redaction.apply(text, length), note: isCut ? cutNote(answer, maxBytes) : undefined };
}

function headOf({ status, headers }: ApiAnswer): string {
  const lines = [`HTTP ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd()];
  for (const [name, value] of Object.entries(headers)) {
    if (shownHeaders.test(name) && value !== undefined)
      lines.push(`${name}: ${printable(String(value)).slice(0, maxHeaderCharacters)}`);
  }
  if (status >= 300 && status < 400 && headers.location !== undefined)
    lines.push("(redirects are not followed: call again with a path below the API base URL)");
  return lines.join("\n");
}

/** Why there is no body to show; undefined when there is. */
function omissionOf({ headers }: ApiAnswer): string | undefined {
  const coding = headers["content-encoding"]?.toLowerCase();
  if (coding !== undefined && coding !== "identity")
    return `[the body is not shown: the API sent it in the coding ${printable(coding)}, which was not asked for]`;
  const type = headers["content-type"];
  if (type === undefined || textual.test(type.trim())) return undefined;
  const length = headers["content-length"];
  const size = length === undefined ? "" : `, ${formatBytes(Number(length))}`;
  return `[the body is not shown: it is not text (${printable(type).slice(0, 100)}${size})]`;
}

function cutNote({ headers }: ApiAnswer, maxBytes: number): string {
  const whole = headers["content-length"];
  const of = whole === undefined ? "" : ` of ${whole}`;
  return `[cut after ${maxBytes}${of} bytes: ask for less, by a page, a filter or fewer fields]`;
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

function decoderOf({ headers }: ApiAnswer): InstanceType<typeof TextDecoder> {
  const [, charset = "utf-8"] = /;\s*charset="?([\w.:-]+)/i.exec(headers["content-type"] ?? "") ?? [];
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder("utf-8");
  }
}
