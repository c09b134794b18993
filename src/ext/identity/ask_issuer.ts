import { readFile } from "node:fs/promises";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getSecure, type RequestOptions } from "node:https";
import { isLoopbackHost } from "../../model/providers/providers.js";
import type { Clock } from "../../runtime/runtime.js";

export interface AskIssuerOptions {
  readonly clock: Clock;
  /** PEM: the CAs that are trusted instead of the system's, as that of a cluster. Read again for each request. */
  readonly caFile: string | undefined;
  /** Holds a bearer token that the issuer's keys are requested with. Read again for each request, since Kubernetes rotates it. */
  readonly tokenFile: string | undefined;
  /** The one origin that gets this token. */
  readonly tokenOrigin: string;
  /** Whether `http` to loopback is allowed, for development. */
  readonly allowLoopback: boolean;
}

/** Gets a JSON document of the issuer. @throws IssuerError */
export type AskIssuer = (url: string) => Promise<unknown>;

/** No usable answer of the issuer; nothing of it is in the message but its status. */
export class IssuerError extends Error {
  override readonly name = "IssuerError";
}

/** From the call to the last byte. Callers wait for it, so that it is well below a call's own limit. */
export const fetchTimeoutMs = 5_000;

/** Discovery documents and key sets have a few KiB; those of the largest issuers some 20. */
export const maxDocumentBytes = 256 * 1024;

/**
 * Asks the issuer that the operator named, which may be in a private network, as a cluster's API server is. So it has a client of its own,
 * with that issuer's CA, and the rules for hosts that a profile names do not apply. Redirects are not followed, no proxy is used, and only
 * 200 is an answer.
 */
export function createAskIssuer(options: AskIssuerOptions): AskIssuer {
  const { clock, caFile, tokenFile, tokenOrigin, allowLoopback } = options;
  return async (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !isPermitted(url, allowLoopback)) throw new IssuerError("the URL is not https");
    const [ca, token] = await Promise.all([
      caFile === undefined ? undefined : read(caFile),
      tokenFile === undefined || url.origin !== tokenOrigin ? undefined : read(tokenFile),
    ]);
    const headers: Record<string, string> = { accept: "application/json, application/jwk-set+json" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token.trim()}`;
    const body = await sendGet(url, { agent: false, headers, ...(ca === undefined ? {} : { ca }) }, clock);
    try {
      return JSON.parse(body.toString("utf8")) as unknown;
    } catch {
      throw new IssuerError("the answer is not JSON");
    }
  };
}

function isPermitted(url: URL, allowLoopback: boolean): boolean {
  if (url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && allowLoopback && isLoopbackHost(url.hostname);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new IssuerError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
  }
}

function sendGet(url: URL, options: RequestOptions, clock: Clock): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (violation: string): void => {
      timer.cancel();
      reject(new IssuerError(violation));
      request.destroy();
    };
    const timer = clock.setTimer(fetchTimeoutMs, () => fail("it took too long"));
    const request = (url.protocol === "https:" ? getSecure : getPlain)(url, options, (response) => {
      if (response.statusCode !== 200) return fail(`the answer has status ${response.statusCode}`);
      collect(response, fail, (body) => {
        timer.cancel();
        resolve(body);
      });
    });
    request.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? "the connection failed"));
  });
}

function collect(
  response: IncomingMessage,
  fail: (violation: string) => void,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxDocumentBytes) fail(`the answer is longer than ${maxDocumentBytes} bytes`);
    else chunks.push(chunk);
  });
  response.on("aborted", () => fail("the answer broke off"));
  response.on("error", () => fail("the answer broke off"));
  response.on("end", () => done(Buffer.concat(chunks)));
}
