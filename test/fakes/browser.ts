/** What a person sees after a navigation. */
export interface Page {
  readonly url: string;
  /** 0 if the navigation was stopped before this URL was requested. */
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
  readonly sameSite: "strict" | "lax" | "none";
  readonly expiresAtMs: number;
}

interface Navigation {
  readonly url: URL;
  readonly form?: URLSearchParams;
  /** The page whose form or link began it; none for an address that was typed. */
  readonly initiator?: URL;
  readonly stopAt?: ((url: string) => boolean) | undefined;
}

const maxRedirects = 20;

/**
 * A person's browser without scripts: one cookie jar, redirects followed by hand. Cookies as RFC 6265bis has them,
 * as far as loopback needs it: kept per host whatever the port, `Path`, `Max-Age`, `Expires` and `SameSite` honoured
 * (`Lax` if it is not said), `Domain` and `Secure` ignored (browsers trust loopback without TLS).
 * A form is sent with `Origin` and each request with `Sec-Fetch-Site`; `Sec-Fetch-Mode` is out of the hands of a
 * user of `fetch` and says `cors`.
 */
export class Browser {
  readonly #jar = new Map<string, Cookie[]>();

  /** An address typed into the bar. Follows redirects; stops before the first whose target `stopAt` accepts. */
  get(url: string, stopAt?: (url: string) => boolean): Promise<Page> {
    return this.#navigate({ url: new URL(url), stopAt });
  }

  /**
   * Sends the form of the page with `formFields` over the values it already holds (hidden ones too). A button is a
   * field like any other: name and value. With several forms on the page: the first that has one of the fields.
   */
  submit(page: Page, formFields: Record<string, string>, stopAt?: (url: string) => boolean): Promise<Page> {
    const form = findForm(page, Object.keys(formFields));
    for (const [name, value] of Object.entries(formFields)) form.fields.set(name, value);
    const initiator = new URL(page.url);
    if (form.method === "post") {
      return this.#navigate({ url: form.action, form: form.fields, initiator, stopAt });
    }
    form.action.search = form.fields.toString();
    return this.#navigate({ url: form.action, initiator, stopAt });
  }

  /** Clicks a link of the page. */
  follow(page: Page, id: string, stopAt?: (url: string) => boolean): Promise<Page> {
    const links = [...page.body.matchAll(/<a\b([^>]*)>/gi)].map(([, tag = ""]) => tag);
    const href = attribute(links.find((tag) => attribute(tag, "id") === id) ?? "", "href");
    if (href === undefined) throw new Error(`no link ${id} on ${page.url}`);
    return this.#navigate({ url: new URL(href, page.url), initiator: new URL(page.url), stopAt });
  }

  /** The value of a cookie that would be sent with a navigation from `url` to `url`. */
  cookie(url: string, name: string): string | undefined {
    return this.#cookiesFor(new URL(url), false, "GET").find((cookie) => cookie.name === name)?.value;
  }

  async #navigate({ url: start, form: firstForm, initiator, stopAt }: Navigation): Promise<Page> {
    let url = start;
    let form = firstForm;
    const chain = initiator === undefined ? [] : [initiator];
    for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
      chain.push(url);
      const response = await this.#request(url, form, chain, initiator);
      const body = await response.text();
      const location = response.headers.get("location");
      if (location === null || response.status < 300 || response.status > 399) {
        return { url: url.href, status: response.status, headers: response.headers, body };
      }
      url = new URL(location, url);
      if (response.status !== 307 && response.status !== 308) form = undefined;
      if (stopAt?.(url.href)) return { url: url.href, status: 0, headers: new Headers(), body: "" };
    }
    throw new Error(`more than ${maxRedirects} redirects, the last to ${url.origin}${url.pathname}`);
  }

  async #request(
    url: URL,
    form: URLSearchParams | undefined,
    chain: readonly URL[],
    initiator: URL | undefined,
  ): Promise<Response> {
    const method = form === undefined ? "GET" : "POST";
    // A redirect through a foreign site makes the rest of the way foreign, as RFC 6265bis has it.
    const isCrossSite = chain.some((step) => step.hostname !== url.hostname);
    const headers: Record<string, string> = {
      accept: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
      "sec-fetch-site": fetchSite(url, chain, isCrossSite, initiator),
    };
    if (form !== undefined) headers["origin"] = originOf(chain, url);
    const cookies = this.#cookiesFor(url, isCrossSite, method);
    if (cookies.length > 0)
      headers["cookie"] = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      method,
      headers,
      redirect: "manual",
      ...(form ? { body: form } : {}),
    });
    for (const line of response.headers.getSetCookie()) this.#keep(url, line);
    return response;
  }

  #cookiesFor(url: URL, isCrossSite: boolean, method: "GET" | "POST"): Cookie[] {
    const nowMs = Date.now();
    return (this.#jar.get(url.hostname) ?? [])
      .filter(({ path, sameSite, expiresAtMs }) => {
        if (expiresAtMs <= nowMs || !pathMatches(url.pathname, path)) return false;
        if (!isCrossSite || sameSite === "none") return true;
        return sameSite === "lax" && method === "GET";
      })
      .sort((a, b) => b.path.length - a.path.length);
  }

  #keep(url: URL, line: string): void {
    const cookie = parseCookie(url, line);
    if (cookie === undefined) return;
    const others = (this.#jar.get(url.hostname) ?? []).filter(
      ({ name, path }) => name !== cookie.name || path !== cookie.path,
    );
    this.#jar.set(url.hostname, cookie.expiresAtMs <= Date.now() ? others : [...others, cookie]);
  }
}

/**
 * The person: opens `authUrl`, goes on from the page that tells of a step-up, signs in as ada at the fake OpenID provider, presses the button, and arrives somewhere.
 * Returns the first page that is not one of that provider's forms. With `stopAt`, stops before a redirect to a URL
 * that it accepts (the callback, a foreign return URL) and returns that URL with status 0.
 */
export async function consent(
  browser: Browser,
  authUrl: string,
  decision: "allow" | "deny" = "allow",
  stopAt?: (url: string) => boolean,
): Promise<Page> {
  return await answerConsent(browser, await browser.get(authUrl, stopAt), decision, stopAt);
}

/** The same from a page on the way. */
export async function answerConsent(
  browser: Browser,
  opened: Page,
  decision: "allow" | "deny" = "allow",
  stopAt?: (url: string) => boolean,
): Promise<Page> {
  let page = opened;
  if (page.body.includes('id="to-provider"')) page = await browser.follow(page, "to-provider", stopAt);
  if (page.body.includes('id="provider-login"')) page = await browser.submit(page, { login: "ada" }, stopAt);
  if (page.body.includes('id="provider-consent"')) page = await browser.submit(page, { decision }, stopAt);
  return page;
}

function fetchSite(
  url: URL,
  chain: readonly URL[],
  isCrossSite: boolean,
  initiator: URL | undefined,
): string {
  if (initiator === undefined) return "none";
  if (isCrossSite) return "cross-site";
  return chain.every((step) => step.origin === url.origin) ? "same-origin" : "same-site";
}

/** After a redirect to another origin a browser sends the word `null`. */
function originOf(chain: readonly URL[], url: URL): string {
  const origin = chain[0]?.origin ?? "null";
  return chain.slice(1, -1).every((step) => step.origin === origin || step.origin === url.origin)
    ? origin
    : "null";
}

function parseCookie(url: URL, line: string): Cookie | undefined {
  const [pair = "", ...attributes] = line.split(";");
  const equals = pair.indexOf("=");
  if (equals < 1) return undefined;
  const lastSlash = url.pathname.lastIndexOf("/");
  let path = lastSlash > 0 ? url.pathname.slice(0, lastSlash) : "/";
  let sameSite: Cookie["sameSite"] = "lax";
  let expiresAtMs = Number.POSITIVE_INFINITY;
  let maxAgeSeconds: number | undefined;
  for (const attribute of attributes) {
    const [rawName = "", ...rest] = attribute.split("=");
    const value = rest.join("=").trim();
    const name = rawName.trim().toLowerCase();
    if (name === "path" && value.startsWith("/")) path = value;
    if (name === "expires" && !Number.isNaN(Date.parse(value))) expiresAtMs = Date.parse(value);
    if (name === "max-age" && /^-?\d+$/.test(value)) maxAgeSeconds = Number(value);
    if (name === "samesite") {
      const word = value.toLowerCase();
      if (word === "strict" || word === "none") sameSite = word;
    }
  }
  if (maxAgeSeconds !== undefined) expiresAtMs = Date.now() + maxAgeSeconds * 1000;
  const name = pair.slice(0, equals).trim();
  return { name, value: pair.slice(equals + 1).trim(), path, sameSite, expiresAtMs };
}

/** RFC 6265, 5.1.4. */
function pathMatches(path: string, cookiePath: string): boolean {
  if (path === cookiePath) return true;
  return path.startsWith(cookiePath) && (cookiePath.endsWith("/") || path[cookiePath.length] === "/");
}

interface Form {
  readonly action: URL;
  readonly method: "get" | "post";
  readonly fields: URLSearchParams;
}

function findForm(page: Page, wanted: readonly string[]): Form {
  const forms = [...page.body.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)];
  const hasWanted = (html: string) =>
    [...html.matchAll(/<(?:input|button|select|textarea)\b([^>]*)>/gi)].some((control) =>
      wanted.includes(attribute(control[1] ?? "", "name") ?? ""),
    );
  const chosen = forms.find((form) => hasWanted(form[2] ?? "")) ?? forms[0];
  if (chosen === undefined) throw new Error(`no form on ${page.url} (status ${page.status})`);
  const [, head = "", content = ""] = chosen;
  const fields = new URLSearchParams();
  for (const [, control = ""] of content.matchAll(/<input\b([^>]*)>/gi)) {
    const name = attribute(control, "name");
    const type = attribute(control, "type")?.toLowerCase() ?? "text";
    if (name === undefined || ["submit", "button", "reset", "image", "file"].includes(type)) continue;
    if (["checkbox", "radio"].includes(type) && !/\schecked\b/i.test(control)) continue;
    fields.append(name, attribute(control, "value") ?? (type === "checkbox" ? "on" : ""));
  }
  const method = attribute(head, "method")?.toLowerCase() === "post" ? "post" : "get";
  return { action: new URL(attribute(head, "action") || page.url, page.url), method, fields };
}

function attribute(tag: string, name: string): string | undefined {
  const match = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, "i").exec(tag);
  const value = match?.[1] ?? match?.[2] ?? match?.[3];
  return value === undefined ? undefined : decodeEntities(value);
}

const namedEntities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return namedEntities[name.toLowerCase()] ?? whole;
  });
}
