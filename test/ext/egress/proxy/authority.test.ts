import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { expect, it } from "vitest";
import { Authority } from "../../../../src/ext/egress/proxy/authority.js";
import { SystemClock } from "../../../../src/runtime/clock.js";

const hosts = [{ host: "api.example.com", port: 443, isWildcard: false }];

async function greeting(authority: Authority, host: string): Promise<string> {
  const { cert, key } = await authority.leafFor(host);
  const server = createServer({ cert, key }, (socket) => socket.end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", servername: host, ca: authority.pem });
  try {
    await once(socket, "secureConnect");
    return "believed";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "refused";
  } finally {
    socket.destroy();
    server.close();
  }
}

it("is believed for the hosts of its session, and for no other", async () => {
  const authority = await Authority.create(hosts, new SystemClock());
  expect(await greeting(authority, "api.example.com")).toBe("believed");
  expect(await greeting(authority, "bank.example.org")).not.toBe("believed");
  const certificate = new X509Certificate(authority.pem);
  expect(certificate.ca).toBe(true);
  expect(certificate.checkIssued(certificate)).toBe(true);
});

it("makes a certificate once, and another before it ends", async () => {
  let nowMs = Date.now();
  const authority = await Authority.create(hosts, { nowMs: () => nowMs });
  const first = await authority.leafFor("api.example.com");
  expect(await authority.leafFor("api.example.com")).toBe(first);
  nowMs += 26 * 60 * 60_000;
  expect(await authority.leafFor("api.example.com")).not.toBe(first);
});
