import { get } from "node:http";
import { get as getSecure } from "node:https";
import type { Clock } from "../../runtime/clock.js";

/** A person waits for it. */
const timeoutMs = 2_000;

/** What speaks at an address, as far as an HTTP/1.1 request without a credential tells. */
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

/** The certificate is not judged: nothing secret is sent or read. */
function speakerAt(url: URL, clock: Clock): Promise<Speaker> {
  return new Promise((resolve) => {
    const options = { path: "/livez", agent: false } as const;
    const request =
      url.protocol === "https:"
        ? getSecure(url, { ...options, rejectUnauthorized: false })
        : get(url, options);
    const timer = clock.setTimer(timeoutMs, () => request.destroy(new Error("it took too long")));
    const settle = (speaker: Speaker): void => {
      timer.cancel();
      request.destroy();
      resolve(speaker);
    };
    request.on("error", () => settle("nothing"));
    request.on("response", ({ headers, statusCode }) => {
      const type = headers["content-type"] ?? "";
      if (type.startsWith("text/html")) settle("browser");
      else if (type.startsWith("text/plain") && statusCode === 200) settle("ops");
      else settle(type.startsWith("application/json") ? "http" : "other");
    });
  });
}
