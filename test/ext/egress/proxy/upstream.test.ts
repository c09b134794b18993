import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { StreamedBody } from "../../../../src/ext/egress/proxy/body.js";
import { Dialer } from "../../../../src/ext/egress/proxy/dial.js";
import { Upstream } from "../../../../src/ext/egress/proxy/upstream.js";
import { Authority } from "../../../fakes/certificates.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { perTest } from "../../../lifetimes.js";
import { ApiStandIn } from "../api_stand_in.js";

const host = "api.localhost";
const clock = perTest(() => new ManualClock(0));

/** Sends requests without a body to `port`. */
function senderTo(port: number, roots: string, isHttp2 = true) {
  const upstream = new Upstream(new Dialer(roots, clock));
  onTestFinished(() => upstream.close());
  return async (path: string, method = "GET") => {
    const body = new StreamedBody(Readable.from([]), 0);
    const headers = { host: `${host}:${port}` };
    const going = { isOver: () => false, onSent: () => undefined };
    const request = { method, path, headers, body, isHttp2, ...going };
    const { body: answer, status } = await upstream.send({ host, port }, request);
    return `${status} ${await text(answer)}`;
  };
}

/** A server of TLS, by hand. */
async function serverOf(alpn: string, accept: (socket: TLSSocket) => void) {
  const issuer = new Authority();
  const pair = issuer.issueServer({ dns: [host] });
  const server = createTlsServer({ ...pair, ALPNProtocols: [alpn] }, (socket) => {
    accept(socket.on("error", () => undefined));
    onTestFinished(() => void socket.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return senderTo((server.address() as AddressInfo).port, issuer.pem, alpn === "h2");
}

describe("a connection of HTTP/2 to an API", () => {
  const api = perTest(() => ApiStandIn.start());
  const link = perTest(() => TcpProxy.tcp(api.port));

  it("that died without a word fails the request that finds it, and the next one is sent over another", async () => {
    const send = senderTo(link.port, api.ca);
    expect(await send("/v1/1")).toBe("200 ok");
    link.halfOpen();
    clock.advance(30_000);
    const lost = send("/v1/2");
    await expect.poll(() => clock.pending).toBe(1);
    clock.advance(10_000);
    await expect(lost).rejects.toMatchObject({ code: "ETIMEDOUT" });
    link.heal();
    expect(await send("/v1/3")).toBe("200 ok");
    expect(api.received.map(({ path }) => path)).toEqual(["/v1/1", "/v1/3"]);
  });

  it("that lives goes on through any number of requests and pauses", async () => {
    const send = senderTo(link.port, api.ca);
    for (const path of ["/v1/1", "/v1/2", "/v1/3"]) {
      expect(await send(path)).toBe("200 ok");
      await expect.poll(() => clock.pending).toBe(0);
      clock.advance(60_000);
    }
    expect(link.connections).toBe(1);
  });

  it("fails in time where TLS is all that the server speaks", async () => {
    const send = await serverOf("h2", (socket) => void socket.resume());
    const failed = send("/v1/1");
    // One is of the connection, until TLS is up.
    const settled = expect(failed).rejects.toMatchObject({ code: "ETIMEDOUT" });
    await expect.poll(() => clock.pending).toBe(1);
    await expect
      .poll(() => {
        clock.advance(1_000);
        return clock.pending;
      })
      .toBe(0);
    await settled;
  });
});

describe("a kept connection of HTTP/1.1 that breaks off amid a request", () => {
  const seen: string[] = [];
  /** Answers the first request of each connection, and cuts it off at the second. */
  const cutting = (socket: Socket): void => {
    let requests = 0;
    socket.on("data", (bytes) => {
      seen.push(String(bytes).split(" ", 2).join(" "));
      if (++requests === 1) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      else socket.destroy();
    });
  };

  it.each([
    ["is sent once more", "GET", "200 ok", 2],
    ["is not, where that could do a thing twice", "POST", undefined, 1],
  ] as const)("%s", async (_, method, answer, times) => {
    seen.length = 0;
    const send = await serverOf("http/1.1", cutting);
    expect(await send("/v1/first")).toBe("200 ok");
    const sent = send("/v1/second", method);
    if (answer === undefined) await expect(sent).rejects.toMatchObject({ code: "ECONNRESET" });
    else expect(await sent).toBe(answer);
    expect(seen.filter((line) => line === `${method} /v1/second`).length).toBe(times);
  });
});

describe("TLS to an API", () => {
  const reused: boolean[] = [];
  const closing = (socket: TLSSocket): void => {
    reused.push(socket.isSessionReused());
    socket.once("data", () => void socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok"));
  };

  it("is resumed for the next connection of a caller, until the certificate is an hour old", async () => {
    reused.length = 0;
    const send = await serverOf("http/1.1", closing);
    for (const _ of ["first", "second", "third"]) expect(await send("/v1/1")).toBe("200 ok");
    clock.advance(3_600_000);
    for (const _ of ["fourth", "fifth"]) expect(await send("/v1/1")).toBe("200 ok");
    expect(reused).toEqual([false, true, true, false, true]);
  });

  it("is not resumed with what another caller got", async () => {
    reused.length = 0;
    const issuer = new Authority();
    const server = createTlsServer(issuer.issueServer({ dns: [host] }), closing);
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (const send of [senderTo(port, issuer.pem, false), senderTo(port, issuer.pem, false)])
      expect(await send("/v1/1")).toBe("200 ok");
    expect(reused).toEqual([false, false]);
  });
});
