import { exitCodes } from "../../core/exit_codes.js";
import type { ConnectionServiceRequestConnectionResponse as Request } from "../../gen/nexus/v1/connection_pb.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import { sendToApi } from "../shell/http_request.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";
import { isLocalUrl } from "./remote_machine.js";

/**
 * Takes a consent that was given in a browser which cannot reach this machine. The command is the browser that the daemon binds the
 * consent to: it opens the link, keeps the cookie, and brings the answer back that the person pastes. Only the address at the provider
 * leaves this machine, and only the query of what is pasted is used.
 *
 * @param hint for a person whose provider shows an error
 */
export async function consentByPaste(shell: Shell, request: Request, hint: string): Promise<void> {
  if (!shell.stdin.isTTY) throw usageFailure("--paste needs a terminal to paste at");
  if (request.redirectUri === "")
    throw usageFailure(
      "--paste is for consents that come back to a redirect URI: this one does not, so leave it out",
    );
  if (!isLocalUrl(request.redirectUri)) {
    throw usageFailure(
      `--paste is for a redirect URI that leads to the browser's own machine: ${request.redirectUri} reaches the daemon, so open the link in any browser`,
    );
  }
  const start = await visit(new URL(request.authUrl), "");
  if (start.location === undefined || start.cookie === "") throw refused(start);
  shell.stderr.write(
    `Open this address in a browser on any machine, and consent:\n\n  ${printable(start.location)}\n\nThe browser then fails to open an address that begins with ${printable(request.redirectUri)}. Copy that address whole.\n${hint}`,
  );
  // What is wrong with an answer is part of the next question: nothing is printed to which the terminal would echo the next answer.
  for (let wrong = ""; ; ) {
    const question = `${wrong}Paste it here (it is not shown): `;
    const pasted = await shell.stdin.ask(question, { echo: false });
    const answer = authorizationResponse(pasted, request.redirectUri, request.state);
    if (typeof answer === "string") {
      wrong = `${answer}\n`;
      continue;
    }
    const end = await visit(answer, start.cookie);
    if (end.status >= 400) throw refused(end);
    return;
  }
}

/**
 * The authorization response that a person pasted (RFC 6749 section 4.1.2), at the redirect URI of the request.
 *
 * @returns a sentence where it is none
 */
export function authorizationResponse(text: string, redirectUri: string, state: string): URL | string {
  const trimmed = text.trim();
  const target = new URL(redirectUri);
  if (!URL.canParse(trimmed)) return `That is no address: it begins with ${printable(redirectUri)}`;
  const { pathname, searchParams } = new URL(trimmed);
  if (pathname !== target.pathname || !responseParams.some((name) => searchParams.has(name))) {
    return `That is not the address: it begins with ${printable(redirectUri)} and holds code= or error=`;
  }
  // The daemon reads that of a signed response.
  if (!searchParams.has("response") && searchParams.get("state") !== state)
    return "That address is the answer to another link: open the one above.";
  target.search = searchParams.toString();
  return target;
}

/** `response` is one that is signed (JARM). */
const responseParams = ["code", "error", "response"];

function refused({ status, message }: Awaited<ReturnType<typeof visit>>): CommandFailure {
  const why = message === "" ? `the browser listener answers ${status}` : printable(message);
  return new CommandFailure(exitCodes.consentFailed, `not connected: ${why}`);
}

/** Visits a page as a browser does that has this cookie. A failure names the origin alone: the query holds a code or a state. */
async function visit(url: URL, cookie: string) {
  const headers = { accept: "application/json", ...(cookie === "" ? {} : { cookie }) };
  try {
    const answer = await sendToApi({ method: "GET", url: url.href, headers });
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body()) chunks.push(chunk);
    const cookies = (answer.headers["set-cookie"] ?? []).map((line) => line.split(";")[0] ?? "");
    return {
      status: answer.status,
      location: answer.headers.location,
      // As a field `cookie` sends them back.
      cookie: cookies.join("; "),
      message: messageOf(Buffer.concat(chunks).toString("utf8")),
    };
  } catch (error) {
    const { code = "unknown error" } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    throw new CommandFailure(
      exitCodes.notReachable,
      `the browser listener of the daemon is not reachable at ${url.origin} (${code}): run this command where the daemon runs`,
    );
  }
}

/** What went wrong, in the words of the page; empty when nothing did. */
function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : "";
  } catch {
    return "";
  }
}
