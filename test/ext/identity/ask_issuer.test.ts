import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createPlain, type IncomingHttpHeaders, type RequestListener } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createAskIssuer, fetchTimeoutMs, maxDocumentBytes } from "../../../src/ext/identity/ask_issuer.js";
import { IssuerKeys } from "../../../src/ext/identity/issuer_keys.js";
import { JwtVerifier } from "../../../src/ext/identity/jwt_verifier.js";
import { Authority } from "../../fakes/certificates.js";
import { JwtSigner } from "../../fakes/jwt_issuer.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const authority = new Authority("Cluster CA");

/** An issuer that speaks https with a certificate of the cluster. */
async function issuerWith(answer: RequestListener, isSecure = true) {
  const server = isSecure ? createSecure({ ...authority.issueServer() }, answer) : createPlain(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `${isSecure ? "https" : "http"}://localhost:${(server.address() as AddressInfo).port}`;
}

function asking(origin: string, more: Partial<Parameters<typeof createAskIssuer>[0]> = {}) {
  const folder = temporaryFolder();
  const caFile = join(folder, "ca.crt");
  const tokenFile = join(folder, "token");
  writeFileSync(caFile, authority.pem);
  writeFileSync(tokenFile, "s3cret-of-the-pod\n");
  const clock = new ManualClock(Date.now());
  const ask = createAskIssuer({
    clock,
    caFile,
    tokenFile,
    tokenOrigin: origin,
    allowLoopback: false,
    ...more,
  });
  return { ask, clock, caFile, tokenFile };
}

test("gets a document by the CA and the token of the cluster, both read anew", async () => {
  const seen: (string | undefined)[] = [];
  const origin = await issuerWith(({ headers }, response) => {
    seen.push(headers.authorization);
    response.end('{"keys":[]}');
  });
  const { ask, tokenFile, caFile } = asking(origin);
  expect(await ask(`${origin}/jwks`)).toEqual({ keys: [] });
  writeFileSync(tokenFile, "rotated");
  await ask(`${origin}/jwks`);
  expect(seen).toEqual(["Bearer s3cret-of-the-pod", "Bearer rotated"]);
  writeFileSync(caFile, new Authority("Another CA").pem);
  await expect(ask(`${origin}/jwks`)).rejects.toThrow(/UNABLE_TO_VERIFY|SELF_SIGNED|SIGNATURE/);
});

test("shows the token to no other origin", async () => {
  let headers: IncomingHttpHeaders = {};
  const origin = await issuerWith((request, response) => {
    headers = request.headers;
    response.end("{}");
  });
  await asking("https://kubernetes.default.svc").ask(`${origin}/jwks`);
  expect(headers.authorization).toBeUndefined();
});

test("trusts no certificate but the cluster's, nor one of another name", async () => {
  const origin = await issuerWith((_request, response) => void response.end("{}"));
  await expect(asking(origin, { caFile: undefined }).ask(origin)).rejects.toThrow(/CERT|VERIFY|SIGNATURE/);
  await expect(asking(origin).ask(origin.replace("localhost", "127.0.0.2"))).rejects.toThrow();
});

test.each<[string, RequestListener, string]>([
  [
    "a redirect",
    (_, response) => void response.writeHead(302, { location: "https://evil.example" }).end(),
    "status 302",
  ],
  ["an error", (_, response) => void response.writeHead(500).end("{}"), "status 500"],
  ["a page", (_, response) => void response.end("<html>"), "not JSON"],
  [
    "an endless body",
    (_, response) => void response.end(Buffer.alloc(maxDocumentBytes + 1, 0x20)),
    "longer than",
  ],
  [
    "half a body",
    (_, response) =>
      void response.writeHead(200, { "content-length": 9 }).write("{", () => response.destroy()),
    "broke off",
  ],
])("takes no %s for an answer", async (_what, answer, reason) => {
  const origin = await issuerWith(answer);
  await expect(asking(origin).ask(origin)).rejects.toThrow(reason);
});

test("waits no longer than its deadline", async () => {
  let arrived = (): void => undefined;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const origin = await issuerWith((_request, response) => {
    response.write("{");
    arrived();
  });
  const { ask, clock } = asking(origin);
  const answer = expect(ask(origin)).rejects.toThrow("it took too long");
  await arrival;
  clock.advance(fetchTimeoutMs);
  await answer;
});

test("speaks plain text to loopback alone, and only where that is allowed", async () => {
  const origin = await issuerWith((_request, response) => void response.end("{}"), false);
  await expect(asking(origin).ask(origin)).rejects.toThrow("not https");
  expect(await asking(origin, { allowLoopback: true }).ask(origin)).toEqual({});
  const { ask } = asking(origin, { allowLoopback: true });
  for (const url of ["http://issuer.example/", "file:///etc/passwd", "https://u:p@localhost/", "x"]) {
    await expect(ask(url)).rejects.toThrow("not https");
  }
});

test("finds the keys by discovery, of the issuer that was asked and no other", async () => {
  const signer = new JwtSigner();
  let claimed: string | undefined;
  const origin: string = await issuerWith(({ url }, response) => {
    const document =
      url === "/.well-known/openid-configuration"
        ? { issuer: claimed ?? origin, jwks_uri: `${origin}/jwks` }
        : { keys: [signer.jwk] };
    response.end(JSON.stringify(document));
  });
  const verifierOf = (issuer: string) => {
    const { ask, clock } = asking(origin);
    const warnings: unknown[] = [];
    const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) };
    const keys = new IssuerKeys({ source: { from: "discovery", issuer }, ask, clock, log });
    return { warnings, verifier: new JwtVerifier({ issuer, audience: "nexusd", keys, clock, log }) };
  };
  const claims = { iss: origin, aud: "nexusd", sub: "agent", exp: Date.now() / 1000 + 600 };
  expect(await verifierOf(origin).verifier.principalOf(signer.sign({ claims }))).toMatchObject({
    name: "jwt:agent",
  });
  claimed = "https://evil.example";
  const { verifier, warnings } = verifierOf(origin);
  await expect(verifier.principalOf(signer.sign({ claims }))).rejects.toThrow("cannot be fetched");
  expect(warnings).toEqual([{ from: "discovery", reason: "the discovery document is of another issuer" }]);
});

test("reads the keys of a file, and again when it changes", async () => {
  const path = join(temporaryFolder(), "jwks.json");
  const [first, next] = [new JwtSigner("1"), new JwtSigner("2")];
  writeFileSync(path, JSON.stringify({ keys: [first.jwk] }));
  const clock = new ManualClock(Date.now());
  const log = silentLog;
  const ask = () => Promise.reject(new Error("nobody is to be asked"));
  const keys = new IssuerKeys({ source: { from: "file", path }, ask, clock, log });
  const verifier = new JwtVerifier({ issuer: "urn:test", audience: "nexusd", keys, clock, log });
  const claims = { iss: "urn:test", aud: "nexusd", sub: "agent", exp: Date.now() / 1000 + 600 };
  expect(await verifier.principalOf(first.sign({ claims }))).toMatchObject({ name: "jwt:agent" });
  expect(await verifier.principalOf(next.sign({ claims }))).toBeUndefined();
  writeFileSync(path, JSON.stringify({ keys: [next.jwk] }));
  clock.advance(5_000);
  expect(await verifier.principalOf(next.sign({ claims }))).toMatchObject({ name: "jwt:agent" });
  await expect.poll(async () => await verifier.principalOf(first.sign({ claims }))).toBeUndefined();
});
