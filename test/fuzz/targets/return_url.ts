import { parse as legacyParse } from "node:url";
import { checkReturnUrl } from "../../../src/model/connections/authorization.js";
import { InvalidArgument } from "../../../src/model/errors.js";
import { launchChromium } from "../../launch_chromium.js";
import { has } from "../../needs.js";
import { mutateText, type Random } from "../../suites/random.js";
import { count, demand, shorterTexts, type Target, Violation } from "../target.js";

interface Input {
  readonly text: string;
  readonly origins: readonly string[];
}

const origins = [
  "https://app.example.com",
  "https://app.example.com:8443",
  "http://127.0.0.1:3999",
  "http://localhost:3000",
  "http://[::1]:3000",
  "https://xn--bcher-kva.example",
] as const;

const evil = [
  "evil.example",
  "app.example.com.evil.example",
  "evil.example:8443",
  "127.0.0.2:3999",
  "[::2]:3000",
];

const attacks = [
  "https://app.example.com@evil.example/",
  "https://app.example.com:8443@evil.example/",
  "https://evil.example\\@app.example.com/",
  "https://app.example.com\\.evil.example/",
  "https:\\\\evil.example/app.example.com",
  "//evil.example/",
  "/\\evil.example",
  "https:evil.example",
  "https:/evil.example",
  "https:///evil.example",
  "https://evil.example#@app.example.com/",
  "https://evil.example?@app.example.com/",
  "https://app.example.com%2f@evil.example/",
  "https://app.example.com%00.evil.example/",
  "https://app.example.com\u0000.evil.example/",
  "https://app.example.com\t.evil.example/",
  "https://app.example.com\r\nset-cookie:x=1",
  "https://app.example.com\uff0eevil.example/",
  "https://app.example.com\u3002evil.example/",
  "https://app.example.com\uff0f.evil.example/",
  "https://evil.example\u2044app.example.com/",
  "javascript://app.example.com/%0aalert(1)",
  "data:text/html,https://app.example.com",
  "blob:https://app.example.com/1",
  "filesystem:https://app.example.com/1",
  "view-source:https://app.example.com/",
  "http://app.example.com/",
  "https://app.example.com:443@evil.example/",
  "https://app.example.com:80443/",
  "https://APP.example.com.:443/",
  "https://127.1:3999/",
  "http://2130706433:3999/",
  "http://0x7f.1:3999/",
  "http://[::ffff:127.0.0.1]:3999/",
  " https://app.example.com/",
  "https://app.example.com/\u202e",
  "https://b\u00fccher.example/",
  "https://app\u00ad.example.com/",
];

/** Where a browser lands must be an origin that is allowed, whoever parses the URL. */
export async function returnUrlTarget(): Promise<Target<Input>> {
  const tally = new Map<string, number>();
  const accepted = new Map<string, readonly string[]>();
  return {
    tally,
    corpus: attacks.flatMap((text) => [
      { text, origins },
      { text, origins: [] },
    ]),
    draw,
    shrink: function* ({ text, origins: allowed }) {
      for (const shorter of shorterTexts(text)) yield { text: shorter, origins: allowed };
    },
    show: (input) => JSON.stringify(input),
    judge: ({ text, origins: allowed }) => {
      const answer = ask(text, allowed);
      count(tally, answer === undefined ? "refused" : "accepted");
      if (answer === undefined) {
        demand(!isPlain(text, allowed), "a plain URL of an allowed origin was refused");
        return;
      }
      judgeAccepted(answer, allowed);
      if (accepted.size < 200_000) accepted.set(answer, allowed);
    },
    finish: async () => {
      await askChromium(accepted, tally);
      accepted.clear();
    },
  };
}

function ask(text: string, allowed: readonly string[]): string | undefined {
  try {
    return checkReturnUrl(text, allowed);
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    return undefined;
  }
}

function judgeAccepted(href: string, allowed: readonly string[]): void {
  // It becomes a Location header.
  demand(/^[\x21-\x7e]+$/.test(href), "accepted text is not printable ASCII");
  demand(!href.includes("\\"), "an accepted URL holds a backslash");
  // RFC 3986, appendix B: what proxies and other libraries take for the host.
  const [, scheme = "", authority = ""] = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?/.exec(href) ?? [];
  demand(allowed.includes(`${scheme}://${authority}`), "RFC 3986 reads another origin");
  const legacy = legacyParse(href);
  demand(
    allowed.includes(`${legacy.protocol}//${legacy.host}`),
    "the legacy parser of Node reads another origin",
  );
  demand(legacy.auth === null, "userinfo");
  demand(ask(href, allowed) === href, "what was accepted is not accepted as it is");
}

/** What nobody could misread, and everybody needs. */
function isPlain(text: string, allowed: readonly string[]): boolean {
  return allowed.some(
    (origin) => text.startsWith(`${origin}/`) && /^[a-z0-9/?=&]*$/.test(text.slice(origin.length)),
  );
}

/** The parser that matters: the one of the browser that is sent there. */
async function askChromium(
  accepted: Map<string, readonly string[]>,
  tally: Map<string, number>,
): Promise<void> {
  if (accepted.size === 0) return;
  if (!has("chromium")) {
    tally.set("chromium is missing", 1);
    return;
  }
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const urls = [...accepted.keys()];
    for (let at = 0; at < urls.length; at += 5_000) {
      const batch = urls.slice(at, at + 5_000);
      const seen = await page.evaluate((texts) => texts.map((text) => new URL(text).origin), batch);
      for (const [index, url] of batch.entries()) {
        if (accepted.get(url)?.includes(seen[index] ?? "")) continue;
        throw new Violation(`Chromium goes to ${seen[index]} for ${JSON.stringify(url)}`);
      }
      tally.set("asked Chromium", at + batch.length);
    }
  } finally {
    await browser.close();
  }
}

function draw(random: Random): Input {
  const allowed = random.once(20) ? [] : random.list(1, 4, () => random.pick(origins));
  const own = allowed[0] ?? origins[0];
  const host = own.slice(own.indexOf("//") + 2);
  const path = random.pick([
    "",
    "/",
    "/back?tab=1",
    "/a/../b",
    "/a%2fb",
    "?x=1",
    "#x",
    "/?u=https://evil.example",
  ]);
  const scheme = random.pick(["https", "http", "HTTPS", "javascript", "ftp", "blob:https", "ws"]);
  const base = random.pick([
    () => own + path,
    () => own + path,
    () => own + path,
    () =>
      `${own}${random.pick(["@", ".", ":", "%40", "\\", "\\@", "#@", "?@", ";", "%2f", "\uff20", "\uff0f", "\u3002"])}${random.pick(evil)}${path}`,
    () =>
      `https://${random.pick(evil)}${random.pick(["@", "\\@", "#@", "?@", "/", "\\", "%40", "\uff03@"])}${host}${path}`,
    () => `${scheme}:${random.pick(["//", "/", "", "///", "\\\\", "/\\", "\t//"])}${host}${path}`,
    () => random.pick(attacks),
  ])();
  return { text: random.once(3) ? base : mutateText(random, base), origins: allowed };
}
