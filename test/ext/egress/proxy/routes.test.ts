import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Routes, routeOf } from "../../../../src/ext/egress/proxy/routes.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";

const route = (name: string, apiBaseUrl: string, apiHosts: string[] = []) =>
  routeOf(create(ProviderSchema, { name, apiBaseUrl, apiHosts }), "");

it("finds the names one label below a wildcard, and neither itself nor those further down", () => {
  const routes = new Routes(() => [route("acme", "", ["*.acme.example", "up.example:8443"])]);
  const hosts = ["eu.acme.example", "acme.example", "a.eu.acme.example", "evil-acme.example", "up.example"];
  expect(hosts.map((host) => routes.has(host, 443))).toEqual([true, false, false, false, false]);
  expect(routes.has("up.example", 8443)).toBe(true);
});

it("has no place over http", () => {
  expect(route("local", "http://127.0.0.1:9000").places).toEqual([]);
});

it("prefers, of the profiles of one API, those to which the user is connected", () => {
  const routes = [
    route("github", "https://api.github.com"),
    route("github-pat", "https://api.github.com/"),
    route("acme", "https://api.acme.example/v1"),
  ];
  const matched = (connected: readonly string[]) =>
    new Routes(
      () => routes,
      ({ providerName }) => connected.includes(providerName),
    ).match("api.github.com", 443, "/user");
  expect(matched(["github-pat"])).toMatchObject({ route: { providerName: "github-pat" } });
  expect(matched(["github", "github-pat"])).toMatchObject({ providers: ["github", "github-pat"] });
  expect(matched([])).toMatchObject({ kind: "ambiguous" });
});
