import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: URLSearchParams;
  readonly body: string;
}

export type Script = (response: ServerResponse, request: ScriptedRequest) => void;

export interface ScriptedServer {
  readonly origin: string;
  readonly requests: readonly ScriptedRequest[];
  /** What the next requests are answered with. */
  script: Script;
  close(): Promise<void>;
}

/** Answers whatever a test wants to see, on loopback. @param port by default any that is free */
export async function startScriptedServer(script: Script = json({}), port = 0): Promise<ScriptedServer> {
  const requests: ScriptedRequest[] = [];
  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    const body = Buffer.concat(chunks).toString("utf8");
    const seen = { method, path: url, headers, form: new URLSearchParams(body), body };
    requests.push(seen);
    server.script(response, seen);
  });
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  const server: ScriptedServer = {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests,
    script,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}

/** Answers one status, some headers, and a body: JSON unless it is text. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Script {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };
}

/** Reads the request and hangs up. */
export const hangUp: Script = (response) => response.socket?.destroy();

/** Reads the request and says nothing. */
export const silence: Script = () => {};
