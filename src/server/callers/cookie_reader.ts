import type { BindingCookie } from "./binding_cookie.js";

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
