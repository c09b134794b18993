import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** An event that arrived, and was verified. */
export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

/** A secret as `openssl rand` would make one. */
export const webhookSecret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** A receiver that verifies what it gets with the reference implementation of Standard Webhooks. */
export class WebhookReceiver {
  readonly events: ReceivedEvent[] = [];
  /** How it answers; by default it takes everything. */
  answer: (event: ReceivedEvent, response: ServerResponse, path: string) => void = (_event, response) =>
    void response.writeHead(204).end();
  readonly #server = createServer((request, response) => void this.#take(request, response));
  #onEvent: (() => void) | undefined;

  async open(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/secret-path`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Resolves when there is such an event. */
  async until(pass: (event: ReceivedEvent) => boolean): Promise<ReceivedEvent> {
    for (;;) {
      const found = this.events.find(pass);
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.#onEvent = resolve;
      });
    }
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString("utf8");
    const headers = request.headers as Record<string, string>;
    const { type, data } = new Webhook(webhookSecret).verify(body, headers) as Pick<
      ReceivedEvent,
      "type" | "data"
    >;
    const event = { id: headers["webhook-id"] ?? "", type, data };
    this.events.push(event);
    this.answer(event, response, request.url ?? "");
    this.#onEvent?.();
  }
}
