import type { UsableCredential } from "../../../domain/use/use.js";
import { certificateFields } from "../../../model/credentials/credentials.js";
import type { AuthorizedRequest } from "../../../strategies/strategies.js";
import type { ModelRequest } from "./api_request.js";
import { fold, Readings } from "./readings.js";

/** Shorter ones stand in every text by chance. */
const minLength = 4;

/** Bytes beyond a cut within which an escape ends that begins before it. */
export const lookAheadBytes = 4096;

/** A way to write a secret, in small letters. */
interface SecretForm {
  readonly text: string;
  readonly isBase64: boolean;
  /** Characters before and after it that hold bits of the secret, and of what else is in the same base64. */
  readonly before: number;
  readonly after: number;
}

/** Of a text, `end` excluded. */
interface TextSpan {
  start: number;
  end: number;
}

/** Finds in what an API answers the secrets that it was sent: some APIs repeat the request. */
export class Redaction {
  /** By their first character. */
  readonly #forms = new Map<string, SecretForm[]>();

  constructor(secrets: Iterable<string>) {
    // Blanks at the ends are lost in a header.
    for (const secret of new Set([...secrets].flatMap((one) => [one, one.trim()]))) {
      if (secret.length < minLength) continue;
      for (const form of formsOf(secret)) {
        const first = form.text.charAt(0);
        this.#forms.set(first, [...(this.#forms.get(first) ?? []), form]);
      }
    }
  }

  /**
   * @param length of the result; a longer text is cut there, and what may be the beginning of a secret is hidden
   * @returns the text with `[redacted]` for each secret
   */
  apply(text: string, length = text.length): string {
    let result = "";
    let copiedEnd = 0;
    for (const { start, end } of this.#placesIn(text, length)) {
      result += `${text.slice(copiedEnd, start)}[redacted]`;
      copiedEnd = end;
    }
    return result + text.slice(copiedEnd, length);
  }

  #placesIn(text: string, length: number): readonly TextSpan[] {
    if (this.#forms.size === 0) return [];
    const readings = new Readings(text);
    const cut = length < text.length ? length : Number.POSITIVE_INFINITY;
    const places: TextSpan[] = [];
    for (let start = 0; start < length; start++) {
      for (const first of new Set(readings.at(start).map(({ text }) => text.charAt(0)))) {
        for (const form of this.#forms.get(first) ?? []) {
          const end = readings.endOf(form.text, start, cut, (text) => form.isBase64 && /[\r\n]/.test(text));
          if (end !== undefined)
            join(places, { start: Math.max(0, start - form.before), end: end + form.after });
        }
      }
    }
    return places;
  }
}

/** What overlaps is one place. */
function join(places: TextSpan[], next: TextSpan): void {
  const last = places.at(-1);
  if (last === undefined || next.start >= last.end) {
    places.push(next);
    return;
  }
  last.start = Math.min(last.start, next.start);
  last.end = Math.max(last.end, next.end);
}

/**
 * What of a request is secret: the credential, and what the strategy made of it. A user name beside a password, and the id of an AWS key,
 * are none: they stand in answers for good reasons.
 */
export function secretsOf(
  own: ModelRequest,
  sent: AuthorizedRequest<Uint8Array>,
  { strategy, credentials }: UsableCredential,
): string[] {
  // TLS shows an API the certificate, and no key.
  const open = new Set<string>(Object.values(certificateFields));
  if (strategy.kind === "aws_sigv4") open.add("access_key");
  if (strategy.kind === "basic_auth" && (credentials[strategy.passwordField] ?? "") !== "")
    open.add(strategy.usernameField);
  const before = new Set(Object.values(own.headers));
  const added = Object.values(sent.headers).filter((value) => !before.has(value));
  return [
    ...Object.entries(credentials).flatMap(([name, value]) => (open.has(name) ? [] : [value])),
    ...added.flatMap((value) => [value, value.replace(/^\S+ /, "")]),
  ];
}

/** What escapes can write is read by `Readings`: these are the others. */
function formsOf(secret: string): SecretForm[] {
  const bytes = Buffer.from(secret, "utf8");
  // Percent encoding and headers carry the bytes.
  const texts = [secret, bytes.toString("latin1"), bytes.toString("hex")];
  const plain = texts.map((text): SecretForm => ({ text, isBase64: false, before: 0, after: 0 }));
  const forms = [...plain, ...[0, 1, 2].flatMap((offset) => base64FormsOf(bytes, offset))];
  return [...new Map(forms.map((form) => [fold(form.text), { ...form, text: fold(form.text) }])).values()];
}

/** What the base64 of a longer text holds of the bytes, by their offset in a group of three. */
function base64FormsOf(bytes: Buffer, offset: number): SecretForm[] {
  const length = offset + bytes.length;
  const base64 = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
  const text = base64.slice(Math.ceil((offset * 4) / 3), Math.floor((length * 4) / 3));
  const edges = { isBase64: true, before: offset === 0 ? 0 : 1, after: length % 3 === 0 ? 0 : 1 };
  return [text, text.replaceAll("+", "-").replaceAll("/", "_")].map((one) => ({ text: one, ...edges }));
}
