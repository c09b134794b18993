import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Authority } from "../fakes/certificates.js";
import { FakeWebProxy } from "../fakes/web_proxy.js";
import { temporaryFolder } from "../temporary_folder.js";

const authority = new Authority();
const cert = join(temporaryFolder(), "ca.pem");
const child = join(import.meta.dirname, "tls_child.ts");
let server: Server;
let port: number;
let bodies: string[] = [];
let servernames: unknown[] = [];
let reused: boolean[] = [];
let connections = 0;

beforeAll(async () => {
  writeFileSync(cert, authority.pem);
  server = createServer(
    authority.issue({ dns: ["idp.example"], ips: ["127.0.0.1"] }),
    async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      bodies.push(body);
      servernames.push((request.socket as TLSSocket).servername);
      reused.push((request.socket as TLSSocket).isSessionReused());
      response.end(`${request.headers.host?.split(":")[0]} ${request.url}`);
    },
  );
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as { port: number }).port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

async function outcomes(urls: readonly string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  [bodies, servernames, reused, connections] = [[], [], [], 0];
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", child, ...urls], {
    env: { PATH: process.env["PATH"], TMPDIR: process.env["TMPDIR"], ...env },
  });
  return JSON.parse(stdout);
}

test("https reaches a provider whose certificate names it, by name and by address", async () => {
  const urls = [
    `https://idp.example:${port}/token?x=1`,
    `https://127.0.0.1:${port}/`,
    `https://IDP.example.:${port}/`,
  ];
  expect(await outcomes(urls, { NODE_EXTRA_CA_CERTS: cert })).toEqual([
    "200 idp.example /token?x=1",
    "200 127.0.0.1 /",
    "200 idp.example. /",
  ]);
  expect(bodies).toEqual(Array(3).fill("refresh_token=canary"));
  expect(servernames).toEqual(["idp.example", false, "idp.example"]);
});

test("each request has a connection of its own, which begins with the TLS session of the one before", async () => {
  const names = ["idp.example", "idp.example", "127.0.0.1", "127.0.0.1", "idp.example"];
  const urls = names.map((name) => `https://${name}:${port}/`);
  const answers = await outcomes(urls, { NODE_EXTRA_CA_CERTS: cert });
  expect(answers).toEqual(names.map((name) => `200 ${name} /`));
  expect([connections, reused]).toEqual([5, [false, true, false, true, true]]);
});

test.each([
  ["http", "HTTPS_PROXY"],
  ["https", "https_proxy"],
])(
  "a provider is reached by a tunnel through a proxy of %s, and proves itself as without one",
  async (scheme, name) => {
    const credentials = "ada:s3cret";
    const proxy = await FakeWebProxy.start({ credentials, ...(scheme === "https" && { issuer: authority }) });
    const urls = [`https://idp.example:${port}/token`, `https://other.example:${port}/`];
    const env = { NODE_EXTRA_CA_CERTS: cert, [name]: proxy.url };
    expect(await outcomes(urls, env)).toEqual(["200 idp.example /token", "network before_send"]);
    expect(proxy.asked).toEqual([`CONNECT idp.example:${port}`, `CONNECT other.example:${port}`]);
    expect(bodies).toEqual(["refresh_token=canary"]);
    expect(await outcomes(urls.slice(0, 1), { ...env, NO_PROXY: "x,.example" })).toEqual([
      "200 idp.example /token",
    ]);
    expect(proxy.asked).toHaveLength(2);
    await proxy.stop();
  },
);

test("a certificate of another name, or of nobody that is trusted, gets nothing, whatever the environment says", async () => {
  const other = [`https://other.example:${port}/`];
  expect(await outcomes(other, { NODE_EXTRA_CA_CERTS: cert })).toEqual(["network before_send"]);
  const idp = [`https://idp.example:${port}/`];
  const lax = { NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_NO_WARNINGS: "1" };
  expect(await outcomes(idp, lax)).toEqual(["network before_send"]);
  expect(bodies).toEqual([]);
});

test.each([
  [
    { fromMs: 3_600_000 },
    "the TLS certificate of idp.example is not valid yet: the clock of this machine is behind; set it (NTP) (CERT_NOT_YET_VALID)",
  ],
  [
    { untilMs: -3_600_000 },
    "the TLS certificate of idp.example has expired: either that is so, or the clock of this machine is ahead; check it first (NTP) (CERT_HAS_EXPIRED)",
  ],
])("a clock that is off is called a clock, by the certificate of a provider: %j", async (times, words) => {
  const other = createServer(authority.issue({ dns: ["idp.example"], ...times }));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const url = `https://idp.example:${(other.address() as { port: number }).port}/`;
  expect(await outcomes([url], { NODE_EXTRA_CA_CERTS: cert })).toEqual([`network before_send: ${words}`]);
  await new Promise((resolve) => other.close(resolve));
});
