import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { apiResponse, type PutCredential, type UsableCredential } from "../../../domain/use/use.js";
import type { Mask } from "../injection/mask.js";
import { ofEnd } from "../injection/request_fields.js";
import { pump } from "./body.js";
import type { OwnRequest } from "./credentials.js";
import type { Origin } from "./dial.js";
import { ownTls, type SessionDeps, traceOf } from "./exchange.js";
import { ProblemDetails, problemOf } from "./problem.js";
import type { ProviderRoute } from "./routes.js";
import { joined } from "./tunnel.js";
import { over } from "./upstream.js";

interface UpgradeParts extends SessionDeps {
  readonly origin: Origin;
  readonly route: ProviderRoute;
  /** Of the program; what it sent behind the request is in `head`. */
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** What an API answered to an upgrade, and what hides the credential in it. */
interface UpgradeAnswer {
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
    private readonly parts: UpgradeParts,
    private readonly request: IncomingMessage,
  ) {
    refuseUnsafe(request);
    const { method = "GET", url: target = "/" } = request;
    this.#own = { origin: parts.origin, method, target, headers: ofEnd(request.headers), body: nothing };
  }

  /** @throws Problem, or what broke the connection, before anything is answered */
  async run(): Promise<void> {
    const { route, record } = this.parts;
    const answer = await this.#answer();
    record?.answered(route, answer.answer.statusCode ?? 502, traceOf(this.request));
    this.#passOn(answer);
  }

  async #answer(): Promise<UpgradeAnswer> {
    const { credentials, route } = this.parts;
    const exchange = credentials.exchange<UpgradeAnswer>(route, this.#own, {
      wholeBody: async () => nothing,
      signal: () => new AbortController().signal,
      onCredential: () => this.#begin(),
      send: (credential, put) => this.#send(credential, put),
      responseOf: ({ answer: { statusCode = 502, headersDistinct }, upgraded }) =>
        upgraded ? undefined : apiResponse(statusCode, headersDistinct),
      dismiss: ({ answer }) => answer.destroy(),
      canRepeat: () => true,
    });
    try {
      return await exchange.run();
    } catch (error) {
      throw problemOf(error, route.providerName) ?? error;
    }
  }

  /** The connection ends when its credential is worth nothing any more. @throws where the program is gone */
  #begin(): void {
    const { uses, route, socket } = this.parts;
    if (socket.destroyed) throw over;
    socket.once(
      "close",
      uses.begin(route, () => socket.destroy()),
    );
  }

  async #send(credential: UsableCredential, put: PutCredential): Promise<UpgradeAnswer> {
    const { credentials, upstream, authorities, route, origin, socket } = this.parts;
    const tls = await ownTls(authorities, route, credential);
    const { mask, path, headers } = await credentials.put(this.#own, credential, put);
    const { upgrade = "websocket" } = this.request.headers;
    const fields = { ...headers, connection: "upgrade", upgrade };
    const sent = upstream.upgrade(origin, this.#own.method, path, fields, tls);
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

  #passOn({ answer, mask, upgraded }: UpgradeAnswer): void {
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
    throw new ProblemDetails(
      400,
      "upgrade-with-body",
      "a request to upgrade the connection may have no body: send it without one",
    );
  if (!/(^|[,\s])(h2c|http\/|tls\/)/i.test(upgrade)) return;
  const detail = `an upgrade to ${upgrade} is refused: inside a tunnel, HTTP/2 is chosen by ALPN`;
  throw new ProblemDetails(400, "upgrade-refused", detail);
}

/** A status line and the fields as they came, but for those in `left`. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage, left?: RegExp): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (!left?.test(rawHeaders[at] ?? "")) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${[...lines, ...(left ? ["connection: close"] : [])].join("\r\n")}\r\n\r\n`;
}
