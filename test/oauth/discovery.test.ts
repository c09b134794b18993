import { expect, test } from "vitest";
import { DiscoveryFailure, discoveryUrl, fetchDiscoveryDocument } from "../../src/oauth/discovery.js";
import { createOutboundFetch } from "../../src/outbound/outbound.js";
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

test("the text comes back as it is, whatever it is labelled", async () => {
  const text = '{ "issuer": "x",\n "a": 1 }';
  server.script = json(text, 200, { "content-type": "text/plain" });
  expect(await fetchDiscoveryDocument(`${server.origin}/t/`, fetch)).toBe(text);
  expect(server.requests).toMatchObject([
    { method: "GET", path: "/t/.well-known/openid-configuration", headers: { accept: "application/json" } },
  ]);
});

test.each<[name: string, script: Script, expected: Partial<DiscoveryFailure>]>([
  ["404", json({}, 404), { reason: "http_status", detail: "404", isTransient: true }],
  ["503", json("<html>", 503), { reason: "http_status", detail: "503", isTransient: true }],
  ["204", json("", 204), { reason: "http_status", detail: "204" }],
  ["a redirect", json("", 302, { location: "/" }), { reason: "unreachable", isTransient: true }],
  ["a page", json("<html>", 200), { reason: "not_json", isTransient: false }],
  ["a list", json([], 200), { reason: "not_json" }],
  ["nothing", json("", 200), { reason: "not_json" }],
  ["a flood", json({ a: "a".repeat(20_000) }, 200), { reason: "unreachable" }],
  ["a cut", hangUp, { reason: "unreachable", isTransient: true }],
])("%s is no document", async (_name, script, expected) => {
  server.script = script;
  const violation = await fetchDiscoveryDocument(server.origin, fetch).catch((error: unknown) => error);
  expect(violation).toBeInstanceOf(DiscoveryFailure);
  expect(violation).toMatchObject(expected);
});

test("the caller can give up", async () => {
  const violation = await fetchDiscoveryDocument(server.origin, fetch, AbortSignal.abort()).catch(
    (error: unknown) => error,
  );
  expect(violation).toMatchObject({ reason: "unreachable" });
  expect(server.requests).toHaveLength(0);
});
