import { createServer as createHttp } from "node:http";
import { createServer as createHttp2, createSecureServer } from "node:http2";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  DeadlineExceeded,
  InvalidArgument,
  Nexus,
  Unavailable,
} from "../../../clients/typescript/src/index.js";
import { Authority } from "../../fakes/certificates.js";

const issued = new Authority("Server CA").issueServer();
const theListener = "NEXUS_ADDRESS is that of the http listener, by default http://127.0.0.1:8090";

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function aClient(address: string): Nexus {
  const nexus = new Nexus({ address, apiKey: "s3cret-key" });
  onTestFinished(() => nexus.close());
  return nexus;
}

/** An error that nobody hears ends the process; here vitest fails the run. */
async function heard(): Promise<void> {
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

describe("an address at which no daemon answers", () => {
  it.each<[string, string, () => Server, string]>([
    [
      "HTTP/1.1, as the browser listener",
      "http",
      () => createHttp((_, response) => response.end()),
      "HTTP/2",
    ],
    ["HTTP/1.1 over TLS", "https", () => createHttps(issued), "HTTP/2"],
    [
      "a certificate of an unknown CA",
      "https",
      () => createSecureServer(issued),
      "is not trusted: set NEXUS_CA_FILE",
    ],
    ["another protocol", "http", () => createServer((socket) => socket.end("SSH-2.0\r\n")), "HTTP/2"],
    [
      "plain text for TLS",
      "https",
      () => createHttp((_, response) => response.end()),
      "not speak TLS: is it http://",
    ],
    ["TLS for plain text", "http", () => createSecureServer(issued), "with TLS (https://)"],
    ["nobody, at once", "http", () => createServer((socket) => socket.end()), "ended the connection"],
    [
      "a reset",
      "http",
      () => createServer((socket) => socket.once("data", () => socket.resetAndDestroy())),
      "ended the",
    ],
  ])("is told from others: %s", async (_, scheme, make, what) => {
    const address = `${scheme}://127.0.0.1:${await listening(make())}`;
    const nexus = aClient(address);
    for (const provider of ["one", "two"]) {
      const error = await nexus.token(provider, { user: "ada" }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Unavailable);
      expect(String(error)).toContain(address);
      expect(String(error)).toContain(what);
      if (!what.includes("CA")) expect(String(error)).toContain(theListener);
      expect(String(error)).not.toContain("s3cret-key");
      await heard();
    }
  });

  it("says what to do where nobody listens", async () => {
    const address = "unix:/no/such/nexus.sock";
    await expect(aClient(address).token("one", { user: "ada" })).rejects.toThrow(
      `nexusd cannot be reached at ${address}: start it with \`nexusd serve\`, or set NEXUS_ADDRESS (ENOENT)`,
    );
  });

  it("says so when the time of a patient call is over", async () => {
    const call = aClient("unix:/no/such/nexus.sock").token("one", { user: "ada", timeoutMs: 50 });
    await expect(call).rejects.toBeInstanceOf(DeadlineExceeded);
    await expect(call).rejects.toThrow(/no token within 50 ms: nexusd cannot be reached at .*nexus\.sock/);
  });

  it("warns of no leak where many calls wait", async () => {
    const warned = vi.fn();
    process.on("warning", warned);
    onTestFinished(() => void process.off("warning", warned));
    const nexus = aClient(`http://127.0.0.1:${await listening(createHttp2())}`);
    const calls = Array.from({ length: 20 }, (_, n) => nexus.token("one", { user: `u${n}` }));
    await heard();
    nexus.close();
    await Promise.allSettled(calls);
    expect(warned).not.toHaveBeenCalled();
  });

  it("has no key that a header cannot carry", async () => {
    const nexus = new Nexus({ address: "http://127.0.0.1:1", apiKey: "s3cret\nkey" });
    onTestFinished(() => nexus.close());
    const error = await nexus.token("one", { user: "ada" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidArgument);
    expect(String(error)).not.toContain("s3cret");
  });

  it("ends the calls of a connection that dies, and makes the next over another", async () => {
    const links: Socket[] = [];
    const asked = vi.fn();
    const server = createHttp2(() => asked());
    server.on("connection", (socket: Socket) => links.push(socket));
    const address = `http://127.0.0.1:${await listening(server)}`;
    const nexus = aClient(address);
    for (let dead = 1; dead <= 3; dead++) {
      const calls = ["one", "two"].map((provider) => nexus.token(`${provider}-${dead}`, { user: "ada" }));
      const ends = Promise.allSettled(calls);
      await expect.poll(() => asked.mock.calls.length).toBe(2);
      // Each call is made once more; the second time is the last.
      links.at(-1)?.resetAndDestroy();
      await expect.poll(() => asked.mock.calls.length).toBe(4);
      links.at(-1)?.resetAndDestroy();
      const results = (await ends).map((end) => (end.status === "rejected" ? end.reason : end.value));
      expect(results).toEqual([expect.any(Unavailable), expect.any(Unavailable)]);
      await heard();
      asked.mockClear();
    }
    expect(links).toHaveLength(6);
  });
});
