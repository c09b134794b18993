import { describe, expect, it } from "vitest";
import { type Incoming, judge } from "../../../../src/ext/egress/proxy/judge.js";
import type { ProblemDetails } from "../../../../src/ext/egress/proxy/problem.js";
import { routeOf, SessionRoutes } from "../../../../src/ext/egress/proxy/routes.js";

const slack = routeOf({ name: "slack", apiBaseUrl: "https://slack.com/api", apiHosts: [] }, "");
const routes = new SessionRoutes(() => [slack]);

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
  const allowance = { routes, methods, paths: undefined, network: "open" } as const;
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
