import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { start } from "./children.js";

/** Streams of WatchTokens in a process of their own. */
export class Subscribers {
  private constructor(private readonly client: ChildProcess) {}

  static async open(socket: string, streams: number, request: Uint8Array): Promise<Subscribers> {
    const sockets = Math.min(50, streams);
    const args = [socket, streams, sockets, Buffer.from(request).toString("base64")].map(String);
    const client = start("watch_client.ts", args);
    const [message] = await once(client, "message");
    if (message !== "open") throw new Error(`the subscribers failed: ${JSON.stringify(message)}`);
    return new Subscribers(client);
  }

  /** @returns when the last of them had as many bytes more, in ns, after `cause` was called */
  async received(bytes: number, cause: () => Promise<void>): Promise<bigint> {
    const armed = once(this.client, "message");
    this.client.send({ expect: bytes });
    await armed;
    const received = once(this.client, "message");
    await cause();
    const [{ receivedNs, failed }] = (await received) as [{ receivedNs?: string; failed?: string }];
    if (receivedNs === undefined) throw new Error(failed);
    return BigInt(receivedNs);
  }

  async close(): Promise<void> {
    this.client.disconnect();
    await once(this.client, "exit");
  }
}
