import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { onTestFinished } from "vitest";
import { apiKey } from "./fake_services.js";

/** The status and body of a `GET`; "destroyed" when the connection or stream ends without an answer. */
export type Get = (port: number, path: string) => Promise<string>;

export const protocols: [string, Get][] = [
  [
    "HTTP/1.1",
    async (port, path) => {
      try {
        const headers = { "x-api-key": apiKey };
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
        return `${response.status} ${await response.text()}`;
      } catch {
        return "destroyed";
      }
    },
  ],
  [
    "HTTP/2",
    async (port, path) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      session.on("error", () => undefined);
      onTestFinished(() => session.destroy());
      const stream = session.request({ ":path": path, "x-api-key": apiKey });
      stream.on("error", () => undefined);
      let head = "";
      let body = "";
      stream.on("response", (fields) => (head = String(fields[":status"])));
      stream.on("data", (chunk: Buffer) => (body += chunk.toString()));
      await once(stream, "close");
      return head === "" ? "destroyed" : `${head} ${body}`;
    },
  ],
];
