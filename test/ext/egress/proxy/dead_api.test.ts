import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { freePort } from "../../../free_port.js";
import { perTest } from "../../../lifetimes.js";
import { EgressWorld } from "./egress_world.js";
import { ProxyClient } from "./proxy_client.js";

describe("an API that breaks off after the headers of its answer", () => {
  const egress = perTest(() => EgressWorld.start());

  it.each([
    ["an answer of text", "text/plain", Buffer.alloc(0), 200],
    ["an answer of bytes", "application/octet-stream", Buffer.alloc(0), 200],
    ["a request that is too long to be sent again", "application/octet-stream", Buffer.alloc(65 * 1024), 502],
  ])(
    "while the credential is reported that it refused, harms no other request: %s",
    async (_, type, body, status) => {
      let report = (): void => undefined;
      egress.holding = new Promise<void>((resolve) => {
        report = resolve;
      });
      let stream: ServerHttp2Stream | undefined;
      egress.api.serve = (request, response) => {
        request.resume();
        response.writeHead(401, { "content-type": type }).write("part");
        stream = (response as unknown as { stream: ServerHttp2Stream }).stream;
      };
      const refused = egress.ask("/v1/refused", { method: "PUT", body, version: 2 });
      await expect.poll(() => egress.reported.length).toBe(1);
      stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
      if (stream && !stream.closed) await once(stream, "close");
      egress.api.serve = undefined;
      expect((await egress.ask("/v1/next")).status).toBe(200);
      report();
      expect((await refused).status).toBe(status);
    },
  );
});

describe("one dead API among living ones", () => {
  /** Takes connections, and never says a word. */
  const silent = perTest(async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => undefined).resume());
      socket.once("close", () => sockets.delete(socket));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const stop = () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    };
    return { sockets, port, stop };
  });
  const refusing = perTest(async () => ({ port: await freePort() }));
  const clock = perTest(() => new ManualClock(Date.now()));
  const egress = perTest(() =>
    EgressWorld.start({
      clock,
      providers: () => [
        { name: "deep", apiBaseUrl: `https://api.localhost:${silent.port}/v1` },
        { name: "gone", apiBaseUrl: `https://api.localhost:${refusing.port}/v1` },
      ],
    }),
  );
  const ask = async (port: number, version: 1 | 2) => {
    const { status, body } = await new ProxyClient(egress.proxyUrl, egress.authority.pem, port).ask(
      "/v1/user",
      { version },
    );
    return `${status} ${body}`;
  };

  it.each([1, 2] as const)(
    "holds up no request over HTTP/%i to another, and is a 502 after 10 seconds",
    async (version) => {
      const order: string[] = [];
      const dead = Array.from({ length: 20 }, () =>
        ask(silent.port, version).finally(() => order.push("dead")),
      );
      await expect.poll(() => egress.acquiredFor.length, { timeout: 20_000 }).toBe(20);
      const connections = version === 2 ? 1 : dead.length;
      await expect.poll(() => silent.sockets.size).toBe(connections);
      for (let at = 0; at < 5; at++) {
        expect(await ask(egress.port, version)).toBe("200 ok");
        expect(await ask(refusing.port, version)).toMatch(/^502 .*ECONNREFUSED/);
        order.push("living");
      }
      expect(silent.sockets.size).toBe(connections);
      clock.advance(10_000);
      for (const answer of await Promise.all(dead)) expect(answer).toMatch(/^502 .*ETIMEDOUT/);
      expect(order.slice(0, 5)).toEqual(Array(5).fill("living"));
      await expect.poll(() => silent.sockets.size).toBe(0);
    },
  );
});
