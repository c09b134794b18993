import { once } from "node:events";
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as requestPlain,
  STATUS_CODES,
} from "node:http";
import { request as requestSecure } from "node:https";
import type { SecureContext } from "node:tls";
import { exitCodes } from "../../core/exit_codes.js";
import type { AuthorizedRequest } from "../../strategies/apply_strategy.js";
import { CommandFailure } from "./command_failure.js";

/** What an API answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The status line and the headers, with the empty line after them. */
  readonly head: string;
  /** @throws CommandFailure when it breaks off */
  body(): AsyncGenerator<Uint8Array>;
  /** The body is not wanted. */
  dismiss(): void;
}

/**
 * Sends the request as it is. A redirect is an answer as any other.
 *
 * @param secureContext with what this side shows, and whom it trusts; that of the process by default
 * @throws CommandFailure that names the origin alone: the path and the query may hold the credential
 */
export async function sendToApi(
  request: AuthorizedRequest<Uint8Array>,
  {
    signal,
    secureContext,
  }: { readonly signal?: AbortSignal; readonly secureContext?: SecureContext | undefined } = {},
): Promise<ApiAnswer> {
  const url = new URL(request.url);
  const send = url.protocol === "https:" ? requestSecure : requestPlain;
  const failure = (error: unknown): CommandFailure =>
    new CommandFailure(exitCodes.failed, `the request to ${url.origin} failed: ${codeOf(error)}`, error);
  try {
    const { method, headers, body } = request;
    // Of GET and its like Node frames no body by itself.
    const length = body === undefined ? {} : { "content-length": String(body.length) };
    const sent = send(url, {
      method,
      headers: { ...headers, ...length },
      agent: false,
      ...(secureContext && { secureContext }),
      ...(signal ? { signal } : {}),
    });
    sent.end(body);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    // What breaks from now on breaks the body of the answer too, which shows it.
    sent.on("error", () => {});
    return answerOf(response, failure);
  } catch (error) {
    throw failure(error);
  }
}

function answerOf(response: IncomingMessage, failure: (error: unknown) => CommandFailure): ApiAnswer {
  const { statusCode: status = 0, httpVersion, statusMessage } = response;
  const lines = [`HTTP/${httpVersion} ${status} ${statusMessage || (STATUS_CODES[status] ?? "")}`.trimEnd()];
  for (let index = 0; index < response.rawHeaders.length; index += 2) {
    lines.push(`${response.rawHeaders[index]}: ${response.rawHeaders[index + 1]}`);
  }
  return {
    status,
    headers: response.headers,
    head: `${lines.join("\r\n")}\r\n\r\n`,
    body: async function* () {
      try {
        yield* response;
      } catch (error) {
        throw failure(error);
      }
    },
    dismiss: () => response.destroy(),
  };
}

/** The messages of Node's errors can hold what was sent. */
function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}
