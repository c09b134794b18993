import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Token } from "../../../gen/nexus/v1/token_pb.js";
import type { Mask } from "../injection/mask.js";
import { ofEnd } from "../injection/request_fields.js";
import type { OwnRequest } from "./credentials.js";
import type { Origin } from "./dial.js";
import { refusalIn, type SessionDeps, traceOf } from "./exchange.js";
import { Problem } from "./problem.js";
import { joined, pump } from "./pump.js";
import type { Route } from "./routes.js";
import { over } from "./upstream.js";

interface Parts extends SessionDeps {
  readonly origin: Origin;
  readonly route: Route;
  /** Of the program; what it sent behind the request is in `head`. */
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** What an API answered to an upgrade, and what hides the credential in it. */
interface Answer {
  readonly answer: IncomingMessage;
  readonly mask: Mask;
  /** The upgraded connection and the first that came over it; undefined where the API upgrades nothing. */
  readonly upgraded: { readonly there: Duplex; readonly first: Buffer } | undefined;
}

/** One request to upgrade a connection, as the handshake of a WebSocket, with the credential put in. */
export class Upgrade {
  readonly #own: OwnRequest;

  /** @throws Problem for a request behind which there could be another one */
  constructor(
    private readonly parts: Parts,
    private readonly request: IncomingMessage,
  ) {
    refuseUnsafe(request);
    const { method = "GET", url: target = "/" } = request;
    this.#own = { origin: parts.origin, method, target, headers: ofEnd(request.headers), body: nothing };
  }

  /** @throws Problem, or what broke the connection, before anything is answered */
  async run(): Promise<void> {
    const { uses, route, socket, record } = this.parts;
    const token = await this.#token();
    const release = uses.begin(route, () => socket.destroy());
    if (socket.destroyed) return release();
    socket.once("close", release);
    const answer = await this.#answer(token);
    record?.answered(route, answer.answer.statusCode ?? 502, traceOf(this.request));
    this.#passOn(answer);
  }

  #token(repeats = false): Promise<Token> {
    const { credentials, route } = this.parts;
    return credentials.token(route, { ...this.#own, repeats }, async () => nothing);
  }

  /** A credential that the API refuses is reported, and the request sent once more with the next one. */
  async #answer(token: Token): Promise<Answer> {
    const { credentials, route } = this.parts;
    const first = await this.#sent(token);
    const { statusCode: status = 502, headersDistinct: headers } = first.answer;
    const refusal = first.upgraded ? undefined : refusalIn({ status, headers });
    if (refusal === undefined || !(await credentials.refused(route, token, refusal))) return first;
    const next = await this.#token(true);
    first.answer.destroy();
    return await this.#sent(next, refusal.dpopNonce);
  }

  async #sent(token: Token, nonce = ""): Promise<Answer> {
    const { credentials, upstream, origin, route, socket } = this.parts;
    const { mask, path, headers } = await credentials.put(this.#own, token, route, nonce);
    const { upgrade = "websocket" } = this.request.headers;
    const fields = { ...headers, connection: "upgrade", upgrade };
    const sent = upstream.upgrade(origin, this.#own.method, path, fields);
    const end = (): unknown => sent.destroy();
    socket.once("close", end);
    if (socket.destroyed) end();
    // Stays: a server may break off at any time.
    sent.on("error", () => undefined).once("close", () => socket.off("close", end));
    const upgraded = once(sent, "upgrade").then(([answer, there, first]) => ({
      ...{ answer, mask, upgraded: { there, first } },
    }));
    const refused = once(sent, "response").then(([answer]) => ({ answer, mask, upgraded: undefined }));
    const closed = once(sent, "close").then(() => Promise.reject(over));
    sent.end();
    return await Promise.race([upgraded, refused, closed]);
  }

  #passOn({ answer, mask, upgraded }: Answer): void {
    const { socket, head } = this.parts;
    if (upgraded) {
      const { there, first } = upgraded;
      socket.write(mask.line(headOf(answer)));
      socket.write(first);
      there.write(head);
      joined(socket, there);
      return;
    }
    // Its body comes as the parser read it, and is over when this connection is.
    socket.write(mask.line(headOf(answer, /^(connection|transfer-encoding|keep-alive)$/i)));
    answer.once("close", () => answer.complete || socket.destroy());
    pump(answer, socket, mask.filter(answer.headers));
  }
}

const nothing = new Uint8Array();

/**
 * The program and the API must agree where an upgrade begins, and what is behind it must be no further requests: nobody would judge those.
 *
 * @throws Problem
 */
function refuseUnsafe({ headers }: IncomingMessage): void {
  const { upgrade = "", "transfer-encoding": coding, "content-length": length = "0" } = headers;
  if (coding !== undefined || Number(length) !== 0)
    throw new Problem(
      400,
      "upgrade-with-body",
      "a request to upgrade the connection may have no body: send it without one",
    );
  if (!/(^|[,\s])(h2c|http\/|tls\/)/i.test(upgrade)) return;
  const detail = `an upgrade to ${upgrade} is refused: inside a tunnel, HTTP/2 is chosen by ALPN`;
  throw new Problem(400, "upgrade-refused", detail);
}

/** A status line and the fields as they came, but for those in `left`. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage, left?: RegExp): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (!left?.test(rawHeaders[at] ?? "")) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${[...lines, ...(left ? ["connection: close"] : [])].join("\r\n")}\r\n\r\n`;
}
