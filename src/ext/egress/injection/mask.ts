import type { OutgoingHttpHeaders } from "node:http";

/** Changes what is read, chunk by chunk. */
export interface MaskFilter {
  change(chunk: Buffer): Buffer;
  /** What was held back. */
  last(): Buffer | undefined;
}

/** Shorter secrets stand in every text by chance. */
const minLength = 8;
/** The beginning of a secret that may be sent before the rest of it is known: a character that ends an event must not wait. */
const maxUnmaskedBytes = 3;
const star = "*".charCodeAt(0);
/** Bodies that are text. */
const text =
  /^(text\/|application\/([\w.+-]+\+)?(json|xml|javascript|x-www-form-urlencoded|x-ndjson|graphql)\b)/i;

/** Hides in an answer the credential that the API was sent. What is hidden keeps its length, so that nothing is held back but what may be one. */
export class Mask {
  readonly #forms: readonly Buffer[];
  /** Of those, what is UTF-16. */
  readonly #wide: ReadonlySet<Buffer>;

  constructor(secrets: readonly string[]) {
    const long = secrets.filter(({ length }) => length >= minLength);
    // A scheme before a secret is none.
    const apart = long.filter((one) => !long.some((other) => one.endsWith(` ${other}`)));
    const forms = [...new Set(apart.flatMap(formsOf))].map((form) => Buffer.from(form));
    // Without its last zero, which UTF-16 has in either order of bytes.
    this.#wide = new Set(apart.map((one) => Buffer.from(one, "utf16le").subarray(0, -1)));
    this.#forms = [...forms, ...this.#wide];
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
  filter(headers: OutgoingHttpHeaders): MaskFilter | undefined {
    const isPlain = /^(identity)?$/.test(String(headers["content-encoding"] ?? ""));
    const isText = isPlain && text.test(String(headers["content-type"] ?? "text/plain"));
    return isText && this.#forms.length > 0 ? this.#filter() : undefined;
  }

  #filter(): MaskFilter {
    /** What may be the beginning of a secret, and how much of it is out already. */
    let seen: Buffer = Buffer.alloc(0);
    let sentBytes = 0;
    return {
      change: (chunk) => {
        const bytes = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
        this.#hide(bytes);
        const open = this.#openEnd(bytes);
        const end = open <= maxUnmaskedBytes ? bytes.length : bytes.length - open;
        const out = bytes.subarray(sentBytes, Math.max(sentBytes, end));
        seen = Buffer.from(bytes.subarray(bytes.length - open));
        sentBytes = Math.max(0, Math.max(sentBytes, end) - (bytes.length - open));
        return out;
      },
      // A beginning without an end hides the most of a secret.
      last: () => {
        if (seen.length === 0) return undefined;
        return seen.length < minLength
          ? seen.subarray(sentBytes)
          : Buffer.alloc(seen.length - sentBytes, star);
      },
    };
  }

  #isIn(bytes: Buffer): boolean {
    return this.#forms.some((form) => bytes.includes(form));
  }

  #hide(bytes: Buffer): void {
    for (const form of this.#forms)
      for (let at = bytes.indexOf(form); at >= 0; at = bytes.indexOf(form, at + form.length))
        for (let place = at; place < at + form.length; place += this.#wide.has(form) ? 2 : 1)
          bytes[place] = star;
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

/** As it is, in hexadecimal, and within base64; each escaped as APIs do, once and once more. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString("hex");
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    return encoded.slice(Math.ceil((offset * 4) / 3), Math.floor(((offset + bytes.length) * 4) / 3));
  });
  const base64url = base64.map((one) => one.replaceAll("+", "-").replaceAll("/", "_"));
  const escaped = escapes.map((one) => one(secret));
  const twice = [secret, ...escaped].flatMap((one) => outerEscapes.map((outer) => outer(one)));
  const encoded = base64.flatMap((one) => [one, encodeURIComponent(one), one.replaceAll("/", "\\/")]);
  return [secret, ...escaped, ...twice, hex, hex.toUpperCase(), ...encoded, ...base64url];
}

/** As a script has it that HTML holds (Django's `escapejs`). */
const inScript = (text: string): string =>
  text.replace(/[\\'"<>&=`;-]/g, (letter) => {
    return `\\u00${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  });
const json = (text: string): string => JSON.stringify(text).slice(1, -1);
const inSmallLetters = (text: string): string => text.replace(/%../g, (digits) => digits.toLowerCase());
const percent = (byte: number): string => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`;
const everyByte = (text: string): string => [...Buffer.from(text)].map(percent).join("");
/** As Python's `quote`, which leaves the slash. */
const quoted = (text: string): string =>
  encodeURIComponent(text)
    .replace(/[!'()*]/g, (letter) => percent(letter.charCodeAt(0)))
    .replaceAll("%2F", "/");
const form = (text: string): string => new URLSearchParams({ a: text }).toString().slice(2);
const html =
  (quote: string) =>
  (text: string): string =>
    text
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("'", quote);
/** In JSON, letters of `which` as numbers: Go, Ruby and Django escape what HTML could read. */
const numbered =
  (which: RegExp, upper = false) =>
  (text: string): string =>
    json(text).replace(which, (letter) => {
      const digits = letter.charCodeAt(0).toString(16).padStart(4, "0");
      return `\\u${upper ? digits.toUpperCase() : digits}`;
    });

const escapes: readonly ((text: string) => string)[] = [
  ...[json, (text: string) => json(text).replaceAll("/", "\\/")],
  ...[numbered(/[&<>]/g), numbered(/[&<>]/g, true), inScript],
  ...[encodeURIComponent, quoted, form, everyByte].flatMap((one) => [
    one,
    (text: string) => inSmallLetters(one(text)),
  ]),
  (text) => quoted(text).replaceAll("/", "%2F"),
  ...[html("&#39;"), html("&#x27;"), html("&#039;"), html("&apos;"), html("'")],
  ...["", "upper"].map((upper) => (text: string) => {
    const numbers = [...text].map((letter) => {
      const digits = letter.charCodeAt(0).toString(16).padStart(4, "0");
      return `\\u${upper === "" ? digits : digits.toUpperCase()}`;
    });
    return numbers.join("");
  }),
];
/** What stands around a text that is escaped already. */
const outerEscapes: readonly ((text: string) => string)[] = [encodeURIComponent, json, html("&#39;")];
