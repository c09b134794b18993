/** A cookie of one listener of browsers: its prefix and its attributes follow from the URL of that. */
export class BindingCookie {
  readonly #secure: boolean;

  /**
   * @param publicUrl https makes cookies that no other host and no plain http can set (`__Host-`, RFC 6265bis, section 4.1.3.2)
   * @param sameSite `Lax` is sent when another site leads the browser here, `Strict` is not (section 5.6.7)
   */
  constructor(
    publicUrl: URL,
    private readonly sameSite: "Lax" | "Strict" = "Lax",
  ) {
    this.#secure = publicUrl.protocol === "https:";
  }

  /** The field `set-cookie` that binds a browser. */
  set(name: string, value: string, maxAgeSeconds: number): string {
    const attributes = `Path=/; Max-Age=${Math.max(0, Math.floor(maxAgeSeconds))}; HttpOnly; SameSite=${this.sameSite}`;
    return `${this.#name(name)}=${encodeURIComponent(value)}; ${attributes}${this.#secure ? "; Secure" : ""}`;
  }

  /** The field `set-cookie` that takes it back; a browser heeds it only with the attributes it was set with. */
  clear(name: string): string {
    return this.set(name, "", 0);
  }

  /** @param header the field `cookie` of the request */
  read(header: string | undefined, name: string): string | undefined {
    const start = `${this.#name(name)}=`;
    for (const pair of header?.split(";") ?? []) {
      const trimmed = pair.trim();
      if (trimmed.startsWith(start)) return decode(trimmed.slice(start.length));
    }
    return undefined;
  }

  #name(name: string): string {
    return `${this.#secure ? "__Host-" : ""}nexus-${name}`;
  }
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

/** Reads cookies and remembers which it found. */
export class CookieReader {
  readonly #cookie: BindingCookie;
  readonly #header: string | undefined;
  readonly #found = new Set<string>();

  constructor(cookie: BindingCookie, header: string | undefined) {
    this.#cookie = cookie;
    this.#header = header;
  }

  readonly read = (name: string): string | undefined => {
    const value = this.#cookie.read(this.#header, name);
    if (value !== undefined) this.#found.add(name);
    return value;
  };

  /** Takes back what was read. */
  clear(): string[] {
    return [...this.#found].map((name) => this.#cookie.clear(name));
  }
}
