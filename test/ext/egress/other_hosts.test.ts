import { expect, it } from "vitest";
import { OtherHosts } from "../../../src/ext/egress/other_hosts.js";
import { routeOf, SessionRoutes } from "../../../src/ext/egress/proxy/routes.js";
import type { EgressSession } from "../../../src/ext/egress/proxy/session.js";

const api = { name: "github", apiBaseUrl: "https://api.github.com", apiHosts: ["*.up.example.com"] };
const routes = new SessionRoutes(() => [routeOf(api, "")]);

/** What the user reads when the program asks for the hosts, one after the other. @param reachable none but these */
function told(hosts: readonly string[], reachable?: readonly string[]): string[] {
  const texts: string[] = [];
  const others = new OtherHosts((text) => texts.push(text));
  const reaches = (host: string) => reachable?.includes(host) ?? true;
  for (const host of hosts) others.seen({ deps: { routes }, reaches } as unknown as EgressSession, host);
  return texts;
}

it.each([
  ["github.com", "github.com is no host of the API of github"],
  ["www.example.com", "www.example.com is no host of the API of github"],
])("tells that %s is the vendor's and gets no credential", (host, text) => {
  expect(told([host, host])).toEqual([expect.stringContaining(text)]);
});

it.each(["pypi.org", "github.com.evil.example", "github.community", "127.0.0.1", "[::1]"])(
  "says nothing of %s",
  (host) => {
    expect(told([host])).toEqual([]);
  },
);

it("tells what is refused, and how it is allowed, for twenty hosts at most", () => {
  const hosts = Array.from({ length: 30 }, (_, index) => `h${index}.example`);
  expect(told(["pypi.org", "pypi.org", "ok.example"], ["ok.example"])).toEqual([
    "pypi.org is refused: no provider has it. --network pypi.org allows it",
  ]);
  expect(told(hosts, [])).toHaveLength(20);
});
