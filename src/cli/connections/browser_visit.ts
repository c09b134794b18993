import { once } from "node:events";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { exitCodes } from "../../daemon/exit_codes.js";
import { CommandFailure } from "../shell/command_failure.js";

/** What the daemon's browser listener answered to a `GET`. */
export interface BrowserAnswer {
  readonly status: number;
  /** Where a redirect leads. */
  readonly location: string | undefined;
  /** The cookies that were set, as a field `cookie` sends them back. */
  readonly cookie: string;
  /** What went wrong, in the words of the page; empty when nothing did. */
  readonly message: string;
}

/** More than any failure of the browser listener holds. */
const maxBytes = 65_536;

/**
 * Visits a page of the daemon's browser listener as a browser does, and follows no redirect.
 *
 * @param cookie the field `cookie`; empty for none
 * @throws CommandFailure that names the origin alone: the query holds a code or a state
 */
export async function visitBrowserListener(url: URL, cookie: string): Promise<BrowserAnswer> {
  const send = url.protocol === "https:" ? requestSecure : requestPlain;
  const headers = { accept: "application/json", ...(cookie === "" ? {} : { cookie }) };
  try {
    const sent = send(url, { headers, agent: false });
    sent.end();
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return await answerOf(response);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    throw new CommandFailure(
      exitCodes.notReachable,
      `the browser listener of the daemon is not reachable at ${url.origin} (${code}): run this command where the daemon runs`,
    );
  }
}

async function answerOf(response: IncomingMessage): Promise<BrowserAnswer> {
  const { statusCode: status = 0, headers } = response;
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    if (text.length < maxBytes) text += chunk;
  }
  const cookies = (headers["set-cookie"] ?? []).map((line) => line.split(";")[0] ?? "");
  return { status, location: headers.location, cookie: cookies.join("; "), message: messageOf(text) };
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : "";
  } catch {
    return "";
  }
}
