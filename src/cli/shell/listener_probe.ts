import { get, type IncomingMessage, type RequestOptions } from "node:http";
import { get as getSecure } from "node:https";
import { urlToHttpOptions } from "node:url";
import type { Clock } from "../../runtime/clock.js";

/** A person waits for it. */
const timeoutMs = 2_000;

/** What speaks at an address, as far as an HTTP/1.1 request without a credential shows. */
type Speaker = "browser" | "ops" | "http" | "other" | "nothing";

/**
 * What is wrong with an address that does not speak as the `http` listener does, and what to do.
 *
 * @param address an origin, `http://host:port` or `https://host:port`
 * @returns undefined when nothing is known
 */
export async function explainAddress(address: string, clock: Clock): Promise<string | undefined> {
  const url = new URL(address);
  const speaker = await speakerAt(url, clock);
  if (speaker === "browser" || speaker === "ops") {
    return `${address} is the ${speaker} listener: commands use the http listener (NEXUS_HTTP_LISTEN, by default http://127.0.0.1:8090), or the Unix socket without --address`;
  }
  if (speaker !== "nothing") return undefined;
  const other = new URL(address.replace(/^https?/, url.protocol === "https:" ? "http" : "https"));
  if ((await speakerAt(other, clock)) === "nothing") return undefined;
  return url.protocol === "https:"
    ? `${address} speaks plain text: write ${other.origin}`
    : `${address} speaks TLS: write ${other.origin}`;
}

/**
 * As `explainAddress`, for an address without a key; an address that does not respond at all is reported, too.
 *
 * @returns undefined when the http listener speaks there, so that the key is what is missing
 */
export async function explainKeyless(address: string, clock: Clock): Promise<string | undefined> {
  const why = await explainAddress(address, clock);
  if (why !== undefined || (await speakerAt(new URL(address), clock)) !== "nothing") return why;
  return `nothing answers at ${address}: is \`nexusd serve\` running, and is this its http listener (NEXUS_HTTP_LISTEN)? On the daemon's own machine leave --address out: the Unix socket needs no key`;
}

async function speakerAt(url: URL, clock: Clock): Promise<Speaker> {
  const target = { ...urlToHttpOptions(url), path: "/livez" };
  const answer = await ask(target, { isTls: url.protocol === "https:", timeoutMs, clock });
  if (typeof answer === "string") return "nothing";
  const type = answer.headers["content-type"] ?? "";
  if (type.startsWith("text/html")) return "browser";
  if (type.startsWith("text/plain") && answer.statusCode === 200) return "ops";
  return type.startsWith("application/json") ? "http" : "other";
}

/** The head of the answer to a GET, or the code of what went wrong. The certificate is not judged: nothing secret is sent or read. */
export function ask(
  target: RequestOptions,
  { isTls, timeoutMs, clock }: { readonly isTls: boolean; readonly timeoutMs: number; readonly clock: Clock },
): Promise<IncomingMessage | string> {
  return new Promise((resolve) => {
    const options = { ...target, agent: false } as const;
    const request = isTls ? getSecure({ ...options, rejectUnauthorized: false }) : get(options);
    const settle = (answer: IncomingMessage | string): void => {
      timer.cancel();
      resolve(answer);
      request.destroy();
    };
    const timer = clock.setTimer(timeoutMs, () => settle("it took too long"));
    request.on("response", settle);
    request.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}
