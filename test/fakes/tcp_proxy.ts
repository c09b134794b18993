import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FullListener } from "./full_listener.js";

/** A port of 127.0.0.1, or the path of a Unix socket. */
export type Place = number | string;

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Set: what the client sent is known to the server, and its answer gets lost. */
  isAnswerLost: boolean;
  /** Set: what the server says waits. */
  heldAnswer: Promise<void> | undefined;
}

/** A piece that was to be stopped on its way. */
export interface Held {
  /** Resolves when it is there. */
  readonly reached: Promise<void>;
  /** It goes on: a request, unless its client is gone by then. */
  release(): void;
}

interface Hold {
  readonly text: string;
  readonly what: "request" | "answer";
  readonly reach: () => void;
  readonly released: Promise<void>;
}

/** A promise that is resolved from outside. */
class Gate {
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

/** A link that can be cut, slow or half open, with TCP or Unix sockets at both ends. */
export class TcpProxy {
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  #state: "open" | "cut" | "half open" = "open";
  #delayMs = 0;
  #losing: string | undefined;
  #hold: Hold | undefined;
  #full: FullListener | undefined;
  /** How many connections were made. */
  connections = 0;
  /** Gets what comes back. */
  onAnswer = (_: Buffer): void => undefined;

  private constructor(
    /** Where new connections lead. */
    public target: Place,
    /** The folder of its socket, where it has one. */
    readonly folder: string | undefined,
  ) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  /** Behind a Unix socket, as PostgreSQL names them in a folder. */
  static async postgres(target: Place): Promise<TcpProxy & { readonly folder: string }> {
    const folder = mkdtempSync(join(tmpdir(), "nexus-proxy-"));
    const proxy = new TcpProxy(target, folder);
    await proxy.#listen(join(folder, ".s.PGSQL.5432"));
    return proxy as TcpProxy & { readonly folder: string };
  }

  /** On a port of 127.0.0.1. */
  static async tcp(target: Place): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, undefined);
    await proxy.#listen(0);
    return proxy;
  }

  /** Where it listens, on 127.0.0.1. */
  get port(): number {
    const address = this.#server.address();
    if (typeof address !== "object" || !address) throw new Error("the proxy listens on no port");
    return address.port;
  }

  /** Ends all connections, and every new one at once. */
  cut(): void {
    this.#state = "cut";
    for (const pair of this.#pairs) this.#drop(pair);
  }

  /** Ends all connections; new ones are let through. */
  reset(): void {
    for (const pair of this.#pairs) this.#drop(pair);
  }

  /** Takes all and passes nothing on, in neither direction, as a network that drops packets. */
  halfOpen(): void {
    this.#state = "half open";
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.pause();
  }

  /** From now on takes no connection and refuses none; those that are open stay. Of a link on a port. */
  async fill(): Promise<void> {
    const { port } = this;
    this.#server.close();
    this.#full = await FullListener.open(port);
  }

  get isFull(): boolean {
    return this.#full !== undefined || !this.#server.listening;
  }

  /** Takes connections again. */
  async empty(): Promise<void> {
    const { port } = this.#full ?? {};
    await this.#full?.close();
    this.#full = undefined;
    if (port !== undefined) await this.#listen(port);
  }

  /** Each piece waits so long, both ways. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  heal(): void {
    const wasHalfOpen = this.#state === "half open";
    this.#state = "open";
    this.#delayMs = 0;
    // The packets of a connection that was half open are gone.
    if (wasHalfOpen) this.reset();
  }

  /** The next connection whose client sends this text is cut when the server answered it, and before the client hears. */
  loseAnswerTo(text: string): void {
    this.#losing = text;
  }

  /** Stops the next request with this text, or the answer to it, on its way: what comes on that connection behind it waits too. */
  hold(text: string, what: "request" | "answer"): Held {
    const reached = new Gate();
    const released = new Gate();
    this.#hold = { text, what, reach: reached.open, released: released.opened };
    return { reached: reached.opened, release: released.open };
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }

  #listen(place: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      if (typeof place === "string") this.#server.listen(place, resolve);
      else this.#server.listen(place, "127.0.0.1", resolve);
    });
  }

  #accept(client: Socket): void {
    this.connections++;
    client.on("error", () => undefined);
    if (this.#state === "cut") {
      client.destroy();
      return;
    }
    const place =
      typeof this.target === "string" ? { path: this.target } : { port: this.target, host: "127.0.0.1" };
    const server = connect({ ...place, allowHalfOpen: true });
    const pair: Pair = { client, server, isAnswerLost: false, heldAnswer: undefined };
    this.#pairs.add(pair);
    for (const socket of [client, server]) socket.on("error", () => this.#drop(pair));
    this.#forward(client, server, (bytes) => {
      if (this.#losing !== undefined && bytes.includes(this.#losing)) {
        this.#losing = undefined;
        pair.isAnswerLost = true;
      }
      return this.#heldRequest(pair, bytes);
    });
    this.#forward(server, client, (bytes) => {
      this.onAnswer(bytes);
      if (pair.isAnswerLost) this.#drop(pair);
      return pair.heldAnswer;
    });
    server.on("close", () => this.#pairs.delete(pair));
    if (this.#state === "half open") for (const socket of [client, server]) socket.pause();
  }

  #heldRequest(pair: Pair, bytes: Buffer): Promise<void> | undefined {
    const hold = this.#hold;
    if (hold === undefined || !bytes.includes(hold.text)) return undefined;
    this.#hold = undefined;
    if (hold.what === "request") {
      hold.reach();
      return hold.released.then(() => {
        if (pair.client.destroyed || pair.client.readableEnded) this.#drop(pair);
      });
    }
    pair.server.once("data", hold.reach);
    pair.heldAnswer = hold.released;
    return undefined;
  }

  /** In order, each piece and the end after the delay that holds when it comes. @param looksAt what the piece waits for */
  #forward(from: Socket, to: Socket, looksAt: (bytes: Buffer) => Promise<void> | undefined): void {
    let passed = Promise.resolve();
    const pass = (act: () => void, held?: Promise<void>): void => {
      const delayMs = this.#delayMs;
      passed = passed
        .then(() => held)
        .then(() => (delayMs === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, delayMs))))
        .then(() => {
          if (!to.destroyed && this.#state !== "half open") act();
        });
    };
    from.on("data", (bytes) => {
      const held = looksAt(bytes);
      pass(() => to.write(bytes), held);
    });
    from.on("end", () => pass(() => to.end()));
    from.on("close", () => pass(() => to.end()));
  }

  #drop(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }
}
