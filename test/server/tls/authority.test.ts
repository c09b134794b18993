import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { expect, it } from "vitest";
import { SystemClock } from "../../../src/runtime/clock.js";
import { Authority, type ServerCertificate, serverCertificate } from "../../../src/server/tls/authority.js";

const hosts = ["api.example.com"];

async function greeting(authority: Authority, host: string): Promise<string> {
  return await greetingOf(await authority.leafFor(host), host, authority.pem);
}

async function greetingOf({ cert, key }: ServerCertificate, host: string, ca: string): Promise<string> {
  const server = createServer({ cert, key }, (socket) => socket.end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", servername: host, ca });
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

const named = { name: "an authority", days: 30 };

it("is believed for the hosts of its session, and for no other", async () => {
  const authority = await Authority.create(hosts, new SystemClock(), named);
  expect(await greeting(authority, "api.example.com")).toBe("believed");
  expect(await greeting(authority, "bank.example.org")).not.toBe("believed");
  const certificate = new X509Certificate(authority.pem);
  expect(certificate.ca).toBe(true);
  expect(certificate.checkIssued(certificate)).toBe(true);
});

it("makes a certificate once, and another before it ends", async () => {
  let nowMs = Date.now();
  const authority = await Authority.create(hosts, { nowMs: () => nowMs }, named);
  const first = await authority.leafFor("api.example.com");
  expect(await authority.leafFor("api.example.com")).toBe(first);
  nowMs += 26 * 60 * 60_000;
  expect(await authority.leafFor("api.example.com")).not.toBe(first);
});

it("keeps 1 000 certificates, those that were used last", async () => {
  const authority = await Authority.create(undefined, new SystemClock(), named);
  const hostOf = (number: number) => `h${number}.example.com`;
  const first = await authority.leafFor(hostOf(0));
  const second = await authority.leafFor(hostOf(1));
  for (let number = 2; number < 1_000; number++) await authority.leafFor(hostOf(number));
  expect(await authority.leafFor(hostOf(0))).toBe(first);
  await authority.leafFor(hostOf(1_000));
  expect(await authority.leafFor(hostOf(0))).toBe(first);
  expect(await authority.leafFor(hostOf(1))).not.toBe(second);
});

it("makes a certificate that is signed by itself, for all of its hosts", async () => {
  const names = ["injector.default.svc", "injector"];
  const made = await serverCertificate({ name: "injector", hosts: names, days: 1, nowMs: Date.now() });
  for (const host of names) expect(await greetingOf(made, host, made.cert)).toBe("believed");
  expect(await greetingOf(made, "api.example.com", made.cert)).not.toBe("believed");
});
