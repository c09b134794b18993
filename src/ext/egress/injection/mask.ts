import type { OutgoingHttpHeaders } from "node:http";

/** Changes what is read, chunk by chunk. */
export interface Filter {
  change(chunk: Buffer): Buffer;
  /** What was held back. */
  last(): Buffer | undefined;
}

/** Shorter secrets stand in every text by chance. */
const minLength = 8;
/** The beginning of a secret that may be shown before it is known how it goes on: a character that ends an event must not wait. */
const shownBytes = 3;
const star = "*".charCodeAt(0);
/** Bodies that are text. */
const text =
  /^(text\/|application\/([\w.+-]+\+)?(json|xml|javascript|x-www-form-urlencoded|x-ndjson|graphql)\b)/i;

/** Hides in an answer the credential that the API was sent. What is hidden keeps its length, so that nothing is held back but what may be one. */
export class Mask {
  readonly #forms: readonly Buffer[];

  constructor(secrets: readonly string[]) {
    const long = secrets.filter(({ length }) => length >= minLength);
    // A scheme before a secret is none.
    const apart = long.filter((one) => !long.some((other) => one.endsWith(` ${other}`)));
    const forms = apart.flatMap(formsOf);
    this.#forms = [...new Set(forms)].map((form) => Buffer.from(form));
  }

  fields<F extends OutgoingHttpHeaders>(fields: F): F {
    const values = Object.values(fields);
    // Few answers have one in their headers.
    if (!this.#isIn(Buffer.from(values.join("\n"), "latin1"))) return fields;
    const masked = Object.entries(fields).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one) => this.line(one)) : this.line(String(value)),
    ]);
    return Object.fromEntries(masked);
  }

  line(value: string): string {
    const bytes = Buffer.from(value, "latin1");
    this.#hide(bytes);
    return bytes.toString("latin1");
  }

  /** Of text that is not compressed; undefined for what passes as it is. */
  filter(headers: OutgoingHttpHeaders): Filter | undefined {
    const isPlain = /^(identity)?$/.test(String(headers["content-encoding"] ?? ""));
    const isText = isPlain && text.test(String(headers["content-type"] ?? "text/plain"));
    return isText && this.#forms.length > 0 ? this.#filter() : undefined;
  }

  #filter(): Filter {
    /** What may be the beginning of a secret, and how much of it is out already. */
    let seen: Buffer = Buffer.alloc(0);
    let shown = 0;
    return {
      change: (chunk) => {
        const bytes = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
        this.#hide(bytes);
        const open = this.#openEnd(bytes);
        const end = open <= shownBytes ? bytes.length : bytes.length - open;
        const out = bytes.subarray(shown, Math.max(shown, end));
        seen = Buffer.from(bytes.subarray(bytes.length - open));
        shown = Math.max(0, Math.max(shown, end) - (bytes.length - open));
        return out;
      },
      // A beginning without an end hides the most of a secret.
      last: () => {
        if (seen.length === 0) return undefined;
        return seen.length < minLength ? seen.subarray(shown) : Buffer.alloc(seen.length - shown, star);
      },
    };
  }

  #isIn(bytes: Buffer): boolean {
    return this.#forms.some((form) => bytes.includes(form));
  }

  #hide(bytes: Buffer): void {
    for (const form of this.#forms)
      for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, at + form.length))
        bytes.fill(star, at, at + form.length);
  }

  /** How many bytes at the end may be the beginning of a secret. */
  #openEnd(bytes: Buffer): number {
    const lengths = this.#forms.map((form) => {
      const [first = 0] = form;
      const start = Math.max(0, bytes.length - form.length + 1);
      for (let at = bytes.indexOf(first, start); at >= 0; at = bytes.indexOf(first, at + 1))
        if (form.subarray(0, bytes.length - at).equals(bytes.subarray(at))) return bytes.length - at;
      return 0;
    });
    return Math.max(0, ...lengths);
  }
}

/** As it is, escaped in JSON and in URLs, in hexadecimal, and within base64. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString("hex");
  const json = JSON.stringify(secret).slice(1, -1);
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    return encoded.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + bytes.length) * 4) / 3));
  });
  const base64url = base64.map((one) => one.replaceAll("+", "-").replaceAll("/", "_"));
  const escaped = [json, json.replaceAll("/", "\\/"), encodeURIComponent(secret)];
  return [secret, ...escaped, hex, hex.toUpperCase(), ...base64, ...base64url];
}
