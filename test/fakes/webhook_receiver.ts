import type { IncomingMessage, ServerResponse } from "node:http";
import { Webhook } from "standardwebhooks";
import { LoopbackServer } from "./loopback_server.js";

/** An event that arrived, and was verified. */
export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

/** A secret as `openssl rand` would make one. */
export const webhookSecret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

/** A receiver that verifies what it gets with the reference implementation of Standard Webhooks. */
export class WebhookReceiver extends LoopbackServer {
  readonly events: ReceivedEvent[] = [];
  /** How it answers; by default it takes everything. */
  answer: (event: ReceivedEvent, response: ServerResponse, path: string) => void = (_event, response) =>
    void response.writeHead(204).end();
  #onEvent: (() => void) | undefined;

  get url(): string {
    return `${this.origin}/secret-path`;
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

  protected async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
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
