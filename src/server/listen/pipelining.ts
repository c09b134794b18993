import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Http2SecureServer } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { edgePolicy } from "../../model/edge_policy.js";
import { isUnauthenticated } from "../sockets/socket_notes.js";

/** A part that ends here makes one request of it, or two where a read ended within: node:http takes no bare LF. */
const headersEnd = "\r\n\r\n";
const { maxPartsPerTurn, maxConnectionsPerTurn, maxHolding, maxRequestsOfStranger } = edgePolicy.pipelining;

const nothing = (): void => undefined;

const connections = new WeakMap<Socket, PipelinedConnection>();
const holding = new Set<PipelinedConnection>();
/** The one that waits longest first. */
const waiting = new Set<PipelinedConnection>();
let isTurnDue = false;

/**
 * Serves the requests of an HTTP/1.1 connection one after the other. Without it node:http starts all that a read returned, some 1 800 in 64 KiB,
 * whether or not the client reads the responses. Here the next is parsed when the response before it was handed to the system, and in a later turn of the
 * event loop, so that connections take turns. Until then the bytes are held, and no more are read.
 */
export function limitPipelining(server: Server | Http2SecureServer): void {
  // A server that speaks both versions has HTTP/1.1 where TLS chose it.
  const event = "setSecureContext" in server ? "secureConnection" : "connection";
  const isHttp1 = (socket: Socket): boolean => (socket as TLSSocket).alpnProtocol !== "h2";
  server.prependListener(event, (socket: Socket) => {
    if (isHttp1(socket)) connections.set(socket, new PipelinedConnection(socket));
  });
  // With a listener besides its own node:http parses what the stream emits, and not what is read below the stream.
  server.on(event, (socket: Socket) => {
    if (isHttp1(socket)) socket.on("data", nothing);
  });
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) =>
    connections.get(request.socket)?.begin(request, response),
  );
}

/** For a connection that speaks HTTP no more, after CONNECT or an upgrade. @returns what came behind the request, to be read first */
export function releaseConnection(socket: Socket): Buffer {
  const connection = connections.get(socket);
  connections.delete(socket);
  return connection?.release() ?? Buffer.alloc(0);
}

/**
 * What may still be sent if node:http can read no further. It is a refusal, or what was written because the malformed request is already
 * answered. It is nothing if another response would be torn or taken for the next one.
 */
export function lastWordOf(socket: Socket): "refusal" | "written" | "nothing" {
  return connections.get(socket)?.lastWord ?? "refusal";
}

class PipelinedConnection {
  /** What came and is not parsed; null is the end. */
  readonly #held: (Buffer | null)[] = [];
  readonly #push: Socket["push"];
  #request: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  #openResponses = 0;
  #pipelined = 0;
  readonly #onResume = (): void => this.#goOn();

  /** @param socket before node:http listens to it */
  constructor(private readonly socket: Socket) {
    this.#push = socket.push;
    // What was read to find out the protocol.
    const first = socket.read() as Buffer | null;
    if (first) this.#held.push(first);
    socket.push = (chunk: Buffer | null) => {
      const isFirst = this.#held.push(chunk) === 1;
      // The end is passed on at once, or a client that leaves would not be noticed.
      if (isFirst && chunk === null) this.#pass();
      else if (isFirst) this.serve();
      return this.#held.length === 0;
    };
    socket.on("resume", this.#onResume);
    socket.once("close", () => this.serve());
  }

  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#request = request;
    this.#response = response;
    this.#openResponses++;
    response.once("close", () => {
      this.#openResponses--;
      if (request.complete && this.#held.length > 0) this.#pipelined++;
      if (this.#pipelined > maxRequestsOfStranger && isUnauthenticated(this.socket)) this.socket.destroy();
      this.#goOn();
    });
  }

  release(): Buffer {
    const { socket } = this;
    socket.push = this.#push;
    socket.off("resume", this.#onResume).off("data", nothing);
    const held = this.#held.splice(0);
    holding.delete(this);
    waiting.delete(this);
    // The end comes behind what is put back.
    if (held.includes(null)) setImmediate(() => socket.push(null));
    return Buffer.concat(held.filter((chunk) => chunk !== null));
  }

  serve(): void {
    if (this.socket.destroyed) this.#held.length = 0;
    for (let parts = 0; parts < maxPartsPerTurn && this.#held.length > 0 && !this.#isBusy(); parts++) {
      this.#pass();
    }
    if (this.#held.length === 0) {
      holding.delete(this);
      return;
    }
    holding.add(this);
    const [oldest] = holding;
    if (oldest && holding.size > maxHolding) {
      holding.delete(oldest);
      oldest.socket.destroy();
    }
    if (!this.#isBusy()) this.#goOn();
  }

  get lastWord(): "refusal" | "written" | "nothing" {
    const { complete } = this.#request ?? {};
    const { headersSent, writableEnded } = this.#response ?? {};
    if (complete === false && !headersSent) return this.#openResponses > 1 ? "nothing" : "refusal";
    if (writableEnded === false) return "nothing";
    return complete === false ? "written" : "refusal";
  }

  /** A whole request waits for its response, or what reads a body for its reader. */
  #isBusy(): boolean {
    const isArriving = this.#request?.complete === false;
    return (
      this.#openResponses > (isArriving ? 1 : 0) || !this.socket.readableFlowing || this.socket.destroyed
    );
  }

  /** Passes on what is held up to the end of the next headers. Only with the last of it the stream goes on reading: it reads after each push. */
  #pass(): void {
    const chunk = this.#held.shift() ?? null;
    const end = chunk ? chunk.indexOf(headersEnd) + headersEnd.length : 0;
    if (chunk === null || end < headersEnd.length || end === chunk.length) {
      this.#push.call(this.socket, chunk);
    } else {
      this.#held.unshift(chunk.subarray(end));
      this.socket.emit("data", chunk.subarray(0, end));
    }
  }

  #goOn(): void {
    if (this.#held.length === 0) return;
    waiting.add(this);
    nextTurn();
  }
}

function nextTurn(): void {
  if (isTurnDue || waiting.size === 0) return;
  isTurnDue = true;
  setImmediate(() => {
    isTurnDue = false;
    let left = maxConnectionsPerTurn;
    for (const connection of waiting) {
      if (left-- === 0) break;
      waiting.delete(connection);
      connection.serve();
    }
    nextTurn();
  });
}
