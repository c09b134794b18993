import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { routeOf, SessionRoutes } from "../../../../src/ext/egress/proxy/routes.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { readingsOf } from "../../../../src/model/access/canonical_request.js";
import { climbingPaths, free } from "../../../model/access/spellings.js";

const route = (name: string, apiBaseUrl: string, apiHosts: string[] = []) =>
  routeOf(create(ProviderSchema, { name, apiBaseUrl, apiHosts }), "");

it("finds the names one label below a wildcard, and neither itself nor those further down", () => {
  const routes = new SessionRoutes(() => [route("acme", "", ["*.acme.example", "up.example:8443"])]);
  const hosts = ["eu.acme.example", "acme.example", "a.eu.acme.example", "evil-acme.example", "up.example"];
  expect(hosts.map((host) => routes.has(host, 443))).toEqual([true, false, false, false, false]);
  expect(routes.has("up.example", 8443)).toBe(true);
});

it("has one base path of a further host", () => {
  const routes = new SessionRoutes(() => [
    route("gitlab", "https://gitlab.com/api/v4", ["gitlab.com/api/graphql"]),
  ]);
  const paths = [
    "/api/v4/user",
    "/api/graphql",
    "/api/graphql/x",
    "/api/graphqlx",
    "/acme/app.git/info/refs",
  ];
  expect(paths.map((path) => routes.match("gitlab.com", 443, readingsOf(path)).kind)).toEqual([
    "route",
    "route",
    "route",
    "none",
    "none",
  ]);
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
    new SessionRoutes(
      () => routes,
      ({ providerName }) => connected.includes(providerName),
    ).match("api.github.com", 443, ["/user"]);
  expect(matched(["github-pat"])).toMatchObject({ route: { providerName: "github-pat" } });
  expect(matched(["github", "github-pat"])).toMatchObject({ providers: ["github", "github-pat"] });
  expect(matched([])).toMatchObject({ kind: "ambiguous" });
});

it("has no answer where servers would read the path as that of another profile", () => {
  const routes = new SessionRoutes(() => [
    route("acme", "https://api.acme.example/v1"),
    route("admin", "https://api.acme.example/v1/admin"),
    route("whole", "https://up.acme.example"),
  ]);
  const kindOf = (path: string, host = "api.acme.example") => routes.match(host, 443, readingsOf(path)).kind;
  const second =
    "/%2fadmin /;/admin /admin;x /%2561dmin /%20admin /admin%00 //admin /%c1%a1dmin /%ef%bc%8fadmin /admin%3fx";
  for (const path of second.split(" ")) expect([path, kindOf(`/v1${path}`)]).toEqual([path, "unclear"]);
  expect(climbingPaths.map((path) => kindOf(`/v1${path}`))).toEqual(climbingPaths.map(() => "unclear"));
  expect(climbingPaths.map((path) => kindOf(path, "up.acme.example"))).toEqual(
    climbingPaths.map(() => "route"),
  );
  expect(routes.match("api.acme.example", 443, readingsOf(`/v1${free}`))).toMatchObject({
    route: { providerName: "acme" },
  });
});

it("compares base paths in their canonical form", () => {
  const routes = new SessionRoutes(() => [route("acme", "https://api.acme.example/%61pi/caf%c3%a9/")]);
  expect(routes.match("api.acme.example", 443, ["/api/caf%C3%A9/x"])).toMatchObject({ kind: "route" });
});
