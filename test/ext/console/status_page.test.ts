import { expect, test } from "vitest";
import { statusPage } from "../../../src/ext/console/status/status_page.js";
import { daemonStatus, failing, planned } from "../../server/daemon_status.js";

const connectionId = "22222222-2222-4222-8222-222222222222";

const answer = (reloads = true) =>
  statusPage(
    daemonStatus({
      connections: { ...daemonStatus().connections, active: 2, attention: 1 },
      nextRefreshes: [planned({ connectionId })],
      failingProviders: [
        failing({ message: "says 4711 in detail", providerId: connectionId, providerName: '<b>&"' }),
      ],
      failingProviderCount: 21,
    }),
    { reloads, console: "http://localhost:8095" },
  );

test("the status is a page that runs nothing, loads nothing and names no connection", () => {
  const { status, headers, body } = answer();
  const page = String(body);
  expect(status).toBe(200);
  expect(headers["content-type"]).toBe("text/html; charset=utf-8");
  expect(headers["cache-control"]).toBe("no-store");
  expect(headers["content-security-policy"]).toMatch(
    /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; frame-ancestors 'none'; base-uri 'none'; form-action 'none'$/,
  );
  expect(page).toContain("&lt;b&gt;&amp;&quot;");
  expect(page).toContain("and 20 more");
  expect(page).toContain('href="http://localhost:8095/connections?state=attention"');
  expect(page).not.toContain(connectionId);
  expect(page).not.toContain("4711");
  expect(page).not.toMatch(/<script|<img|<link|<form| on\w+=| style=|src=/);
});

test("the status loads itself again, unless it is told to stand still", () => {
  expect(answer().body).toContain('<meta http-equiv="refresh" content="10"/>');
  expect(answer(false).body).not.toContain("http-equiv");
});
