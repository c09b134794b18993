import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Adds the key to requests of clients that cannot send one, as the suite, and passes everything else on as it is: `Host` and `Origin` too.
 */
export async function startKeyProxy(
  target: string,
  key: string,
): Promise<{ url: string; close(): Promise<void> }> {
  const { hostname, port, pathname } = new URL(target);
  const server = createServer((asked, answer) => {
    const headers = { ...asked.headers, authorization: `Bearer ${key}` };
    const { url: path, method } = asked;
    const sent = request({ host: hostname, port, path, method, headers, agent: false }, (received) => {
      answer.writeHead(received.statusCode ?? 0, received.headers);
      received.pipe(answer);
    });
    sent.on("error", () => answer.destroy());
    answer.on("close", () => sent.destroy());
    asked.pipe(sent);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    close: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
