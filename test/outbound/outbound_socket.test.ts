import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type ProviderNetworks, publicNetworks } from "../../src/outbound/address_judge.js";
import { createOutboundFetch, OutboundError } from "../../src/outbound/outbound_fetch.js";
import {
  AddressRefused,
  type Lookup,
  OutboundTarget,
  openSocket,
} from "../../src/outbound/outbound_socket.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";

/** A listener on this machine that counts connections and keeps what it is sent. */
let server: Server;
let port: number;
let connections: number;
let received: string;

beforeEach(async () => {
  connections = 0;
  received = "";
  server = createServer((socket: Socket) => {
    connections++;
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as { port: number }).port;
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  vi.unstubAllEnvs();
});

const answers =
  (...addresses: string[]): Lookup =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));

async function refusalOf(url: string, networks: ProviderNetworks, lookup?: Lookup): Promise<OutboundError> {
  const fetch = createOutboundFetch({ networks, timeoutMs: 5_000, ...(lookup ? { lookup } : {}) });
  const violation = await fetch(url, { method: "POST", headers: {}, body: "refresh_token=canary" }).then(
    ({ status }) => status,
    (error: unknown) => error,
  );
  expect(violation).toBeInstanceOf(OutboundError);
  return violation as OutboundError;
}

describe("by default", () => {
  test.each([
    "http://127.0.0.1",
    "http://localhost",
    "https://2130706433",
    "https://10.0.0.1",
    "https://metadata.google.internal",
    "https://[fe80::1]",
  ])("%s is refused before a name is resolved", async (origin) => {
    const lookup = vi.fn(answers("8.8.8.8"));
    const violation = await refusalOf(`${origin}:${port}/token`, publicNetworks, lookup);
    expect(violation).toMatchObject({ reason: "forbidden_address", phase: "before_send", isForbidden: true });
    expect(violation.message).toContain(violation.host);
    expect(lookup).not.toHaveBeenCalled();
    expect(connections).toBe(0);
  });

  test.each([
    [["127.0.0.1"], "loopback"],
    [["::1"], "loopback"],
    [["::ffff:127.0.0.1"], "loopback"],
    [["10.0.0.1"], "private"],
    [["169.254.169.254"], "metadata"],
    [["fd00:ec2::254"], "metadata"],
    [["fe80::1%eth0"], "link_local"],
    [["64:ff9b::7f00:1"], "embedded"],
    [["0.0.0.0"], "unspecified"],
    [["93.184.216.34", "127.0.0.1"], "loopback"],
    [["2606:4700::1", "192.168.1.1"], "private"],
  ])("a name that resolves to %s is not connected to", async (addresses, kind) => {
    const violation = await refusalOf(
      `https://rebound.example:${port}/`,
      publicNetworks,
      answers(...addresses),
    );
    expect(violation).toMatchObject({ reason: "forbidden_address", phase: "before_send", refusal: { kind } });
    for (const address of addresses) expect(violation.message).not.toContain(address);
    expect(connections).toBe(0);
  });
});

describe("with loopback allowed", () => {
  test("http goes to this machine", async () => {
    const fetch = createOutboundFetch({ networks: loopbackNetworks });
    expect((await fetch(`http://localhost:${port}/`, { method: "GET", headers: {} })).status).toBe(200);
    expect(received).toContain(`host: localhost:${port}`);
  });

  test("http to a localhost that the resolver puts elsewhere is refused", async () => {
    const violation = await refusalOf(
      `http://localhost:${port}/`,
      loopbackNetworks,
      answers("93.184.216.34"),
    );
    expect(violation.reason).toBe("forbidden_address");
  });

  test("private and metadata addresses stay closed", async () => {
    expect((await refusalOf("https://10.0.0.1/", loopbackNetworks)).reason).toBe("forbidden_address");
    expect((await refusalOf("https://169.254.169.254/", loopbackNetworks)).reason).toBe("forbidden_address");
  });

  test("http to anywhere else is no URL to call", async () => {
    expect((await refusalOf("http://example.com/", loopbackNetworks)).reason).toBe("forbidden_url");
    expect((await refusalOf("http://a.localhost/", loopbackNetworks)).reason).toBe("forbidden_url");
  });
});

describe("a name is resolved once", () => {
  test("and the socket goes to the address that was judged", async () => {
    let calls = 0;
    const lookup: Lookup = async () => {
      calls++;
      return [{ address: "127.0.0.1", family: 4 }];
    };
    // TLS fails there, after the connection: what counts is where it went.
    const violation = await refusalOf(`https://pinned.example:${port}/`, loopbackNetworks, lookup);
    expect(violation).toMatchObject({ reason: "network", phase: "before_send" });
    expect([calls, connections]).toEqual([1, 1]);
    expect(received).not.toContain("canary");
  });

  test("an answer without addresses is no address", async () => {
    const violation = await refusalOf("https://empty.example/", publicNetworks, async () => []);
    expect(violation).toMatchObject({ reason: "network", code: "ENOTFOUND", phase: "before_send" });
  });

  test("a resolver that hangs is within the deadline", async () => {
    const fetch = createOutboundFetch({ timeoutMs: 50, lookup: () => new Promise(() => {}) });
    const violation = await fetch("https://slow.example/", { method: "GET", headers: {} }).catch(
      (error) => error,
    );
    expect(violation).toMatchObject({ reason: "timeout", phase: "before_send" });
  });
});

test("the address of the connected socket is judged before a byte is written", async () => {
  const target = new OutboundTarget(new URL(`https://example.com:${port}/`), publicNetworks);
  const addresses = [{ address: "127.0.0.1", family: 4 }];
  await expect(openSocket(target, addresses, new AbortController().signal)).rejects.toThrow(AddressRefused);
  expect(received).toBe("");
});

test("an open and a closed port behind a refused address answer the same, and neither is knocked at", async () => {
  const [open, closed] = await Promise.all([
    refusalOf(`https://127.0.0.1:${port}/`, publicNetworks),
    refusalOf("https://127.0.0.1:1/", publicNetworks),
  ]);
  expect(open.message).toBe(closed.message);
  expect(connections).toBe(0);
});

test("proxies of the environment are not asked", async () => {
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]) {
    vi.stubEnv(name, `http://127.0.0.1:${port}`);
  }
  vi.stubEnv("NODE_USE_ENV_PROXY", "1");
  const violation = await refusalOf("https://127.0.0.2:1/", loopbackNetworks);
  expect(violation).toMatchObject({ reason: "network", code: "ECONNREFUSED" });
  expect(connections).toBe(0);
});

test("headers beyond 16 KiB are cut off", async () => {
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {});
    socket.write("HTTP/1.1 200 OK\r\n");
    socket.resume();
    for (let i = 0; i < 40; i++) socket.write(`x-${i}: ${"a".repeat(1000)}\r\n`);
  });
  const violation = await refusalOf(`http://127.0.0.1:${port}/`, loopbackNetworks);
  expect(violation).toMatchObject({ reason: "too_large", phase: "after_send" });
});
