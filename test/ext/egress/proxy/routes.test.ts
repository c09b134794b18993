import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { ProblemDetails } from "../../../../src/ext/egress/proxy/problem.js";
import { type Incoming, judge, routeOf, SessionRoutes } from "../../../../src/ext/egress/proxy/routes.js";
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

it("knows at which ports a host belongs to a provider, and takes the name above a wildcard for any other", () => {
  const routes = new SessionRoutes(() => [
    route("acme", "https://up.example", ["*.acme.example", "up.example:8443"]),
  ]);
  const hosts = ["up.example", "eu.acme.example", "acme.example", "a.eu.acme.example"];
  expect(hosts.map((host) => routes.portsOf(host))).toEqual([[443, 8443], [443], [], []]);
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

const slack = routeOf({ name: "slack", apiBaseUrl: "https://slack.com/api", apiHosts: [] }, "");
const slackRoutes = new SessionRoutes(() => [slack]);

/** @returns what is put in, or the code of the refusal with its text */
function asked(
  method: string,
  url: string,
  methods: readonly string[],
  headers: Record<string, string> = {},
) {
  const own = { host: "slack.com", ...headers };
  const request = {
    method,
    url,
    headers: own,
    rawHeaders: Object.entries(own).flat(),
  } as unknown as Incoming;
  const allowance = { routes: slackRoutes, methods, paths: undefined, network: "open" } as const;
  try {
    return judge({ host: "slack.com", port: 443 }, request, allowance)?.providerName;
  } catch (error) {
    const { status, detail } = error as ProblemDetails;
    return `${status} ${detail}`;
  }
}

const readOnly = ["GET", "HEAD", "OPTIONS"];

describe("a session of nexusd run --read-only", () => {
  it("reads, by POST too where the API is known to read by it", () => {
    expect(asked("GET", "/api/conversations.list", readOnly)).toBe("slack");
    expect(asked("POST", "/api/conversations.list", readOnly)).toBe("slack");
    expect(asked("POST", "/api/conversations.list", ["GET"])).toMatch(/^403 POST is refused: .*--method/);
  });

  it("writes by no method", () => {
    expect(asked("POST", "/api/chat.postMessage", readOnly)).toMatch(/^403 .*only read \(--read-only\)$/);
    for (const methods of [readOnly, ["GET"]])
      expect(asked("GET", "/api/chat.postMessage?text=x", methods)).toMatch(/^403 .*this API writes so$/);
  });

  it("sends nothing of which it depends on the server whether it writes", () => {
    for (const path of ["/api/x/%2e%2e/chat.delete", "/api/chat%2fdelete", "/api/api%3Btest"])
      expect(asked("GET", path, readOnly)).toMatch(/^400 servers read the path/);
    const moved = { "x-original-url": "/api/chat.delete" };
    expect(asked("GET", "/api/api.test", readOnly, moved)).toMatch(/^400 servers read the path/);
  });
});
