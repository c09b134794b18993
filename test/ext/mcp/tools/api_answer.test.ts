import { describe, expect, it } from "vitest";
import type { ApiAnswer } from "../../../../src/cli/shell/http_request.js";
import { readAnswer } from "../../../../src/ext/mcp/tools/api_answer.js";
import { Redaction } from "../../../../src/ext/mcp/tools/redaction.js";
import { withQueryParam } from "../../../../src/strategies/query.js";
import fc from "../../../property.js";
import { decodings } from "./decodings.js";

const secret = "canary'0123&456789";

function answerOf(headers: ApiAnswer["headers"], body: string | Uint8Array = ""): ApiAnswer {
  return {
    status: 200,
    headers,
    head: "",
    body: async function* () {
      const bytes = Buffer.from(body);
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
    },
    dismiss: () => {},
  };
}

async function shown(answer: ApiAnswer, secrets: readonly string[], maxBytes = 65_536): Promise<string> {
  const { head, body, note } = await readAnswer(answer, new Redaction(secrets), maxBytes);
  return [head, body, note ?? ""].join("\n");
}

describe("readAnswer", () => {
  it("looks for the credential in a whole header before it cuts it, wherever the cut falls", async () => {
    for (let padding = 1024 - 40; padding < 1030; padding++) {
      const value = `/?q=${"a".repeat(padding)}&key=${secret}`;
      const text = await shown(answerOf({ location: value, "x-page-url": value }), [secret]);
      expect(text).not.toContain("canar");
      expect(text.split("\n").every((line) => line.length <= 1024)).toBe(true);
    }
  });

  it("looks in the names of headers, and in what it says of a body that it does not show", async () => {
    const types = { "content-type": `image/${secret}`, [`x-page-${secret}`]: "1" };
    expect(await shown(answerOf(types), [secret])).not.toContain("canary");
    expect(await shown(answerOf({ "content-encoding": `gzip;${secret}` }), [secret])).not.toContain("canary");
  });

  it("shows no body in a charset that it cannot decode, and so cannot search", async () => {
    const answer = answerOf({ "content-type": "text/plain; charset=utf-7" }, "canary+ACc-0123+ACY-456789");
    expect(await shown(answer, [secret])).toContain("[the body is not shown: its charset is not known]");
  });

  it("never shows a credential, however it is encoded, wherever it stands and whatever is around it", async () => {
    const given = [credentials, written, padding, padding, places, fc.nat(400)] as const;
    await fc.assert(
      fc.asyncProperty(...given, async (credential, write, before, after, place, maxBytes) => {
        const form = write(credential);
        const seen = await shown(place(`${before}${form}${after}`), [credential], maxBytes + 1);
        expect(seen).not.toContain(form);
        expect(decodings(seen).filter((one) => one.includes(credential.toLowerCase()))).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});

const ascii = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
/** Those that an encoding writes in another way, and those that are part of one. */
const special = fc.constantFrom(..."%%&&''\"\\<>+/=#;-_u0012567x ", "é", "€", "😀");
/** What stands instead of a credential holds brackets. */
const credentials = fc
  .string({ unit: fc.oneof(ascii, special), minLength: 4, maxLength: 40 })
  .filter((text) => !/[[\]]/.test(text) && !"redacted".includes(text.toLowerCase()));

const hex = (text: string, digits: number) => text.charCodeAt(0).toString(16).padStart(digits, "0");
const entities: Record<string, string> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos" };
const encoders: readonly ((text: string) => string)[] = [
  (text) => text,
  encodeURIComponent,
  (text) => encodeURIComponent(text).replaceAll("%20", "+"),
  (text) => withQueryParam("", "", text).slice(2),
  (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  (text) => JSON.stringify(text).slice(1, -1),
  (text) => JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/"),
  // Go's encoding/json, and PHP's with all of its flags.
  (text) =>
    JSON.stringify(text)
      .slice(1, -1)
      .replace(/[&<>']/g, (one) => `\\u${hex(one, 4)}`),
  (text) => text.replace(/./gs, (one) => `\\u${hex(one, 4).toUpperCase()}`),
  (text) => text.replace(/[&<>"']/g, (one) => `&${entities[one]};`),
  (text) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`),
  (text) => text.replace(/./gsu, (one) => `&#x${one.codePointAt(0)?.toString(16)};`),
];
/** Of the shapes in which a server repeats what it got, some stand in one another. */
const nested = fc
  .array(fc.constantFrom(...encoders), { minLength: 1, maxLength: 3 })
  .map((chosen) => (text: string) => chosen.reduce((written, encode) => encode(written), text));
const inBase64 = fc
  .tuple(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), fc.constantFrom("base64", "base64url"))
  .map(
    ([before, after, alphabet]) =>
      (text: string) =>
        Buffer.from(`${before}${text}${after}`).toString(alphabet as BufferEncoding),
  );
const written = fc.oneof(nested, inBase64);
/** What would be the begin or the end of an escape is the likeliest to lead a search astray. */
const padding = fc.oneof(
  fc.string({ unit: fc.constantFrom("%", "%4", "%25", "\\", "\\u00", "&", "&#", ";", "a", "0") }),
  fc.integer({ min: 900, max: 1100 }).map((length) => "a".repeat(length)),
  fc.string(),
);
const latin1 = (text: string) => Buffer.from(text).toString("latin1");
const places = fc.constantFrom<((text: string) => ApiAnswer)[]>(
  (text) => answerOf({ "content-type": "text/plain" }, text),
  (text) => answerOf({ "content-type": "text/plain; charset=utf-16le" }, Buffer.from(text, "utf16le")),
  (text) => answerOf({ location: latin1(text) }),
  (text) => answerOf({ [`x-page-${text}`]: "1" }),
  (text) => answerOf({ "content-type": latin1(text) }),
  (text) => answerOf({ "content-encoding": latin1(text) }),
);
