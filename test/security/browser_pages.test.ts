import { createConnection } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { failureOf } from "../daemon/errors.js";
import { registered, requestOf } from "../daemon/requests.js";
import { ScriptedWorld } from "../daemon/scripted_world.js";
import { Browser } from "../fakes/browser.js";
import { perSuite } from "../lifetimes.js";
import { cookiesOf, type Reply, raw, visit } from "./visitor.js";

const hostile = `"><script>alert(document.domain)</script><img src=x onerror=alert(1)>`;
const formType = "application/x-www-form-urlencoded";

describe("the browser that calls us: pages", () => {
  const world = perSuite(() => ScriptedWorld.make());
  let manualId: string;
  let staticId: string;
  beforeAll(async () => {
    manualId = await world.register({ name: "acme" });
    staticId = await registered(world.clients, {
      name: "keyed",
      authType: AuthType.API_KEY,
      credentialSchema: {
        type: "object",
        title: hostile,
        description: hostile,
        properties: { api_key: { type: "string", title: hostile, description: hostile, default: hostile } },
        required: ["api_key"],
      },
    });
  });

  const port = () => Number(new URL(world.place.config.publicUrl).port);
  const at = (path: string) => `${world.place.config.publicUrl}${path}`;
  const requested = async (providerId: string, more: { returnUrl?: string } = {}) =>
    await world.clients.connections.requestConnection(requestOf(providerId, more));
  /** The form of a new request, with the cookie that belongs to it. */
  const openForm = async () => {
    const { authUrl, state, connectionId } = await requested(staticId);
    const cookie = cookiesOf(await visit(authUrl));
    const url = at(`/auth/capture?state=${state}`);
    const page = await visit(url, { headers: { cookie } });
    const csrf = /name="nexus-csrf" value="([^"]+)"/.exec(page.body)?.[1] ?? "";
    const send = (body: Record<string, string>, headers: Record<string, string> = {}) =>
      visit(url, {
        method: "POST",
        headers: { cookie, "content-type": formType, ...headers },
        body: new URLSearchParams(body).toString(),
      });
    const status = async () => {
      const { connection } = await world.clients.connections.getConnection({ connectionId });
      return connection?.revision;
    };
    return { page, csrf, send, status };
  };

  test("every page runs nothing, is framed by nobody, says nothing to other sites and is not stored", async () => {
    const { page: form } = await openForm();
    const pages: [string, Reply, string][] = [
      ["home", await visit(at("/")), "none"],
      ["done", await visit(at("/auth/done")), "none"],
      ["unknown", await visit(at("/nowhere")), "none"],
      ["failed", await visit(at("/auth/callback/acme?state=x&code=y")), "none"],
      ["incomplete", await visit(at("/auth/start")), "none"],
      ["method", await visit(at("/"), { method: "DELETE" }), "none"],
      ["host", await visit(at("/"), { headers: { host: "evil.example" } }), "none"],
      ["start", await visit((await requested(manualId)).authUrl), "none"],
      ["form", form, "self"],
    ];
    for (const [name, { headers, body }, formAction] of pages) {
      const policy = headers["content-security-policy"] ?? "";
      expect(policy, name).toContain("default-src 'none'");
      expect(policy, name).toContain("frame-ancestors 'none'");
      expect(policy, name).toContain("base-uri 'none'");
      expect(policy, name).toContain(`form-action '${formAction}'`);
      expect(policy, name).not.toMatch(/unsafe-|script-src|nonce-|data:|\*/);
      expect(headers, name).toMatchObject({
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "referrer-policy": name === "form" ? "same-origin" : "no-referrer",
      });
      expect(body, name).not.toMatch(/<script|<style|<iframe|<[^>]*\s(on\w+|style)=|<[^>]*javascript:/i);
    }
  });

  test("text of a profile is shown escaped", async () => {
    const { page } = await openForm();
    expect(page.body).toContain("&lt;script&gt;alert(document.domain)&lt;/script&gt;");
    expect(page.body).not.toContain("<script");
    expect(page.body).not.toContain("<img");
  });

  test("what a provider says of an error is never shown, sent on, logged or kept", async () => {
    const secret = "provider-text-7f3a";
    for (const returnUrl of ["", "http://127.0.0.1:3999/back"]) {
      for (const error of ["access_denied", `${hostile}${secret}`, "server_error"]) {
        const { authUrl } = await requested(manualId, returnUrl === "" ? {} : { returnUrl });
        const browser = new Browser();
        const { url } = await browser.get(authUrl, (each) => each.includes("/auth/callback/acme"));
        const back = new URL(url);
        back.searchParams.delete("code");
        back.searchParams.set("error", error);
        back.searchParams.set("error_description", `${hostile}${secret}`);
        back.searchParams.set("error_uri", `javascript:alert("${secret}")`);
        const page = await browser.get(back.href, (each) => each.startsWith("http://127.0.0.1:3999/"));
        const shown = returnUrl === "" ? page.body : page.url;
        expect(shown).not.toContain(secret);
        expect(shown).not.toContain("script");
        if (returnUrl !== "") {
          const word = new URL(page.url).searchParams.get("error");
          expect(word).toBe(error.includes(secret) ? "authorization_failed" : error);
        }
      }
    }
    expect(world.place.logLines.join("")).not.toContain(secret);
    const { events } = await world.clients.audit.listAuditEvents({ pageSize: 1000 });
    expect(
      JSON.stringify(events, (_key, value) => (typeof value === "bigint" ? `${value}` : value)),
    ).not.toContain(secret);
  });

  test("a form needs the token of its page", async () => {
    const { csrf, send, status } = await openForm();
    const other = await openForm();
    for (const wrong of [{}, { "nexus-csrf": "" }, { "nexus-csrf": other.csrf }]) {
      expect((await send({ api_key: "k", ...(wrong as Record<string, string>) })).status).toBe(400);
    }
    expect(await status()).toBe(0n);
    expect((await send({ api_key: "k", "nexus-csrf": csrf })).status).toBe(303);
    expect(await status()).toBe(1n);
    expect((await send({ api_key: "k", "nexus-csrf": csrf })).status).toBe(404);
  });

  test.each([
    ["another origin", { origin: "https://evil.example" }, 400],
    ["another port of this host", { origin: "http://localhost:1" }, 400],
    ["no origin", { origin: "null" }, 400],
    ["another site", { "sec-fetch-site": "cross-site" }, 400],
    ["a sibling site", { "sec-fetch-site": "same-site" }, 400],
    ["another browser", { cookie: "" }, 400],
    ["a page that sends text", { "content-type": "text/plain" }, 415],
    ["a page that sends JSON", { "content-type": "application/json" }, 415],
  ])("a form from %s is refused", async (_name, headers, refusal) => {
    const { csrf, send, status } = await openForm();
    const sent = await send({ api_key: "k", "nexus-csrf": csrf }, headers as Record<string, string>);
    expect(sent.status).toBe(refusal);
    expect(await status()).toBe(0n);
  });

  test.each([
    ["of another site", "host: evil.example", 421],
    ["of a site that begins alike", "host: localhost.evil.example", 421],
    ["without its port", "host: localhost", 421],
    ["that is empty", "host: ", 421],
    ["that is missing", "x-host: localhost", 400],
    ["that comes twice", "host: {host}\r\nhost: evil.example", 400],
    ["that a proxy claims", "host: evil.example\r\nx-forwarded-host: {host}", 421],
  ])("a Host %s gets nothing", async (_name, header, status) => {
    const { authUrl } = await requested(manualId);
    const { pathname, search, host } = new URL(authUrl);
    const lines = header.replace("{host}", host);
    const answer = await raw(
      port(),
      `GET ${pathname}${search} HTTP/1.1\r\n${lines}\r\nconnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).not.toMatch(/set-cookie|location:/i);
  });

  test.each([
    ["an absolute target", "GET http://evil.example/ HTTP/1.1", 400],
    ["a target that is no path", "GET * HTTP/1.1", 400],
    ["a tunnel", "CONNECT evil.example:443 HTTP/1.1", undefined],
    ["no HTTP at all", "hello", 400],
    ["an unknown method", "BREW / HTTP/1.1", 400],
  ])("%s gets nowhere", async (_name, line, status) => {
    const answer = await raw(port(), `${line}\r\nhost: localhost:${port()}\r\nconnection: close\r\n\r\n`);
    if (status === undefined) expect(answer).toBe("");
    else expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  test("an oversized query or header is answered with 431 and cut off", async () => {
    const long = "x".repeat(20_000);
    const host = `localhost:${port()}`;
    expect(
      await raw(port(), `GET /auth/callback/acme?state=${long} HTTP/1.1\r\nhost: ${host}\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 431 /);
    expect(await raw(port(), `GET / HTTP/1.1\r\nhost: ${host}\r\ncookie: ${long}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    expect((await visit(at("/"))).status).toBe(200);
  });

  test("an oversized form is answered with 413, and nothing is stored", async () => {
    const { csrf, send, status } = await openForm();
    expect((await send({ "nexus-csrf": csrf, api_key: "x".repeat(200_000) })).status).toBe(413);
    expect(await status()).toBe(0n);
  });

  test("whoever sends his request slowly is cut off within 20 seconds, others are served meanwhile", async () => {
    const slow = [
      "GET / HTTP/1.1\r\nhost: ",
      `POST /auth/capture?state=x HTTP/1.1\r\nhost: localhost:${port()}\r\ncontent-length: 9\r\n\r\na`,
    ];
    const began = performance.now();
    const ends = slow.map(
      (bytes) =>
        new Promise<number>((resolve) => {
          const socket = createConnection({ host: "127.0.0.1", port: port() });
          socket.on("error", () => undefined);
          socket.on("close", () => resolve(performance.now() - began));
          socket.resume();
          socket.write(bytes);
        }),
    );
    expect((await visit(at("/"))).status).toBe(200);
    for (const tookMs of await Promise.all(ends)) expect(tookMs).toBeLessThan(25_000);
  }, 60_000);

  test.each([
    "https://evil.example/",
    "http://127.0.0.1:3999.evil.example/",
    "http://127.0.0.1:3999@evil.example/",
    "http://user@127.0.0.1:3999/",
    "http://@127.0.0.1:3999/",
    "http://127.0.0.1:3999\\@evil.example/",
    "http:\\\\127.0.0.1:3999/",
    "http:127.0.0.1:3999/",
    "http:///127.0.0.1:3999/",
    "//127.0.0.1:3999/",
    "/back",
    "javascript:alert(1)//http://127.0.0.1:3999/",
    "data:text/html,x",
    "http://127.0.0.1:3999/\r\nset-cookie: a=b",
    "http://127.0.0.1:3999/\u0000",
    "http://127.0.0.1:3999/\t",
    "http://127.0.0.1:3999/\u0085",
    "http://127.0.0.1:3999/\u202e",
    " http://127.0.0.1:3999/",
    "http://127.0.0.1:3998/",
    "https://127.0.0.1:3999/",
    "http://localhost:3999/",
  ])("a person is never sent to %j", async (returnUrl) => {
    const failure = await failureOf(requested(manualId, { returnUrl }));
    expect(failure.code).toBe("InvalidArgument");
    expect(failure.message).toContain("return_url");
  });

  test("a return URL is sent re-serialised, and what the outcome says does not stand there twice", async () => {
    const returnUrl =
      "http://2130706433:3999/a/../b?x=%20y&status=success&connection_id=other&provider=p&error=e&completion_code=c#top";
    const { authUrl, connectionId } = await requested(manualId, { returnUrl });
    const page = await world.consent(authUrl);
    expect(page.url).toBe(
      `http://127.0.0.1:3999/b?x=%20y&status=success&connection_id=${connectionId}&provider=acme#top`,
    );
  });
});
