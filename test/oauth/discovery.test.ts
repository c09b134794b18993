import { expect, test } from "vitest";
import { fromDiscoveryDocument } from "../../src/oauth/authorization_server.js";
import {
  DiscoveryFailure,
  discoveryUrl,
  fetchDiscoveryDocument,
  fetchServerMetadata,
  metadataUrls,
} from "../../src/oauth/discovery.js";
import { createOutboundFetch, OutboundError } from "../../src/outbound/outbound_fetch.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { perTest } from "../lifetimes.js";
import { hangUp, json, type Script, startScriptedServer } from "./scripted_server.js";

const server = perTest(() => startScriptedServer());
const fetch = createOutboundFetch({ networks: loopbackNetworks, maxBytes: 10_000 });

test.each([
  ["https://a.example", "https://a.example/.well-known/openid-configuration"],
  ["https://a.example/", "https://a.example/.well-known/openid-configuration"],
  ["https://a.example/t/v2.0", "https://a.example/t/v2.0/.well-known/openid-configuration"],
  ["https://a.example/t/", "https://a.example/t/.well-known/openid-configuration"],
])("the document of %s lies at %s", (issuer, url) => {
  expect(discoveryUrl(issuer)).toBe(url);
});

const wellKnown = "https://a.example/.well-known";
test.each([
  ["https://a.example", [`${wellKnown}/oauth-authorization-server`, `${wellKnown}/openid-configuration`]],
  ["https://a.example/", [`${wellKnown}/oauth-authorization-server`, `${wellKnown}/openid-configuration`]],
  [
    "https://a.example/t/v2.0",
    [
      `${wellKnown}/oauth-authorization-server/t/v2.0`,
      `${wellKnown}/openid-configuration/t/v2.0`,
      "https://a.example/t/v2.0/.well-known/openid-configuration",
    ],
  ],
])("the metadata of %s is looked for as MCP has it", (issuer, urls) => {
  expect(metadataUrls(issuer)).toEqual(urls);
});

/** The document at the one path, everything else answered by `other`. */
const documentAt =
  (path: string, other: Script): Script =>
  (response, request) =>
    (request.path === path ? json({ issuer: `${server.origin}/t` }) : other)(response, request);
const askedPaths = () => server.requests.map(({ path }) => path);

test.each<[name: string, script: Script]>([
  ["404", json({}, 404)],
  ["400", json({}, 400)],
  ["a page for every path", json("<html>", 200)],
])("the next place is asked after %s", async (_name, other) => {
  server.script = documentAt("/t/.well-known/openid-configuration", other);
  expect(JSON.parse(await fetchServerMetadata(`${server.origin}/t`, fetch))).toEqual({
    issuer: `${server.origin}/t`,
  });
  expect(askedPaths()).toEqual([
    "/.well-known/oauth-authorization-server/t",
    "/.well-known/openid-configuration/t",
    "/t/.well-known/openid-configuration",
  ]);
});

test.each<[name: string, script: Script, reason: string]>([
  ["503", json({}, 503), "http_status"],
  ["429", json({}, 429), "http_status"],
  ["a cut", hangUp, "unreachable"],
  ["a redirect", json("", 307, { location: "/.well-known/openid-configuration/t" }), "unreachable"],
  ["a flood", json({ a: "a".repeat(20_000) }), "unreachable"],
])("no other place is asked after %s", async (_name, other, reason) => {
  server.script = documentAt("/t/.well-known/openid-configuration", other);
  const violation = await fetchServerMetadata(`${server.origin}/t`, fetch).catch((error: unknown) => error);
  expect(violation).toBeInstanceOf(DiscoveryFailure);
  expect(violation).toMatchObject({ reason });
  expect(askedPaths()).toEqual(["/.well-known/oauth-authorization-server/t"]);
});

test("what is nowhere is named by the first place", async () => {
  server.script = json({}, 404);
  await expect(fetchServerMetadata(server.origin, fetch)).rejects.toThrow(
    `${server.origin}/.well-known/oauth-authorization-server answers HTTP status 404`,
  );
});

test("the text comes back as it is, whatever it is labelled", async () => {
  const text = '{ "issuer": "x",\n "a": 1 }';
  server.script = json(text, 200, { "content-type": "text/plain" });
  expect(await fetchDiscoveryDocument(`${server.origin}/t/`, fetch)).toBe(text);
  expect(server.requests).toMatchObject([
    { method: "GET", path: "/t/.well-known/openid-configuration", headers: { accept: "application/json" } },
  ]);
});

test.each<[name: string, script: Script, expected: Partial<DiscoveryFailure>]>([
  ["404", json({}, 404), { reason: "http_status", detail: "404" }],
  ["503", json("<html>", 503), { reason: "http_status", detail: "503" }],
  ["204", json("", 204), { reason: "http_status", detail: "204" }],
  ["a redirect", json("", 302, { location: "/" }), { reason: "unreachable" }],
  ["a page", json("<html>", 200), { reason: "not_json" }],
  ["a list", json([], 200), { reason: "not_json" }],
  ["nothing", json("", 200), { reason: "not_json" }],
  ["a flood", json({ a: "a".repeat(20_000) }, 200), { reason: "unreachable" }],
  ["a cut", hangUp, { reason: "unreachable" }],
])("%s is no document", async (_name, script, expected) => {
  server.script = script;
  const violation = await fetchDiscoveryDocument(server.origin, fetch).catch((error: unknown) => error);
  expect(violation).toBeInstanceOf(DiscoveryFailure);
  expect(violation).toMatchObject(expected);
});

const trusted = "https://idp.example";
const place = `${trusted}/.well-known/openid-configuration`;

test.each<[name: string, answer: () => Promise<Response>, message: string]>([
  [
    "404",
    async () => new Response("no", { status: 404 }),
    `${place} answers HTTP status 404: nothing is published there: check the issuer of the profile, or give auth_url and token_url without enable_discovery`,
  ],
  [
    "403",
    async () => new Response("no", { status: 403 }),
    `${place} answers HTTP status 403: check the issuer of the profile`,
  ],
  [
    "503",
    async () => new Response("no", { status: 503 }),
    `${place} answers HTTP status 503: the provider does not serve it at the moment: try again later`,
  ],
  [
    "HTML",
    async () => new Response("<!doctype html><p>secret"),
    `${place} answers a page of HTML, where a JSON object is expected: check the issuer of the profile`,
  ],
  [
    "connection refused",
    () => Promise.reject(new OutboundError("network", "before_send", "idp.example", "ECONNREFUSED")),
    `${place} could not be fetched: idp.example refuses the connection: check the port, and that the provider is up (ECONNREFUSED)`,
  ],
  [
    "a name that does not resolve",
    () => Promise.reject(new OutboundError("network", "before_send", "idp.example", "ENOTFOUND")),
    `${place} could not be fetched: the name idp.example does not resolve: check its spelling and the DNS of this machine (ENOTFOUND)`,
  ],
  [
    "a provider that does not answer",
    () => Promise.reject(new OutboundError("timeout", "after_send", "idp.example")),
    `${place} could not be fetched: idp.example takes the request and does not answer in time: try again`,
  ],
  [
    "a redirect",
    () => Promise.reject(new OutboundError("redirect", "after_send", "idp.example", undefined, 302)),
    `${place} could not be fetched: idp.example answers with a redirect (HTTP status 302), which is not followed: check the URL`,
  ],
  [
    "a TLS certificate that is not valid yet",
    () => Promise.reject(new OutboundError("network", "before_send", "idp.example", "CERT_NOT_YET_VALID")),
    `${place} could not be fetched: the TLS certificate of idp.example is not valid yet: the clock of this machine is behind; set it (NTP) (CERT_NOT_YET_VALID)`,
  ],
])(
  "a discovery failure says which URL was tried, the status or system error, and what to do: %s",
  async (_name, answer, message) => {
    const failure = await fetchDiscoveryDocument(trusted, answer).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DiscoveryFailure);
    expect((failure as Error).message).toBe(message);
  },
);

test.each([
  ["https://other.example", "names the issuer https://other.example"],
  ["https://user:pw@other.example", "names the issuer (a text that is no URL)"],
  ["<script>", "names the issuer (a text that is no URL)"],
  [undefined, "names no issuer"],
])("a discovery failure of a wrong issuer holds both values: %s", (named, words) => {
  const document = JSON.stringify({ issuer: named });
  expect(() => fromDiscoveryDocument(trusted, document)).toThrow(
    `${place} ${words}, and the profile says ${trusted}; they are compared character by character: correct the issuer of the profile`,
  );
});

test("the caller can give up", async () => {
  const violation = await fetchDiscoveryDocument(server.origin, fetch, AbortSignal.abort()).catch(
    (error: unknown) => error,
  );
  expect(violation).toMatchObject({ reason: "unreachable" });
  expect(server.requests).toHaveLength(0);
});
