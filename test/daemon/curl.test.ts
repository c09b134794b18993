import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { CertifiedApi } from "../fakes/certified_api.js";
import { type ApiCall, ScriptedApi } from "../fakes/scripted_api.js";
import { perSuite } from "../lifetimes.js";
import { climbingPaths, echoingMethods, samePaths } from "../model/access/spellings.js";
import { staticCases } from "./capture_world.js";
import { CommandWorld, type Ended } from "./command_world.js";

const token = "access-1-secret";

describe("nexusd curl", () => {
  let world: CommandWorld;
  const api = perSuite(() => ScriptedApi.start());
  let calls: ScriptedApi["calls"];
  let origin: string;
  beforeAll(async () => {
    ({ calls, origin } = api);
    world = await CommandWorld.make();
    await world.connect("github", { api_base_url: `${origin}/v3/` });
    await world.connect("versioned", { api_base_url: `${origin}?api-version=7` });
    await world.connect("baseless");
  });
  afterAll(() => world.close());
  beforeEach(() => {
    api.answer = (response) => response.end('{"login":"ada"}\n');
  });
  afterEach(() => {
    calls.splice(0);
  });

  const curl = async (args: string[], piped?: string): Promise<Ended> => {
    const ended = await world.command(["curl", ...args], piped);
    expect(ended.stderr).not.toMatch(/secret/);
    return ended;
  };
  const sent = async (args: string[], piped?: string): Promise<ApiCall | undefined> => {
    expect(await curl(args, piped)).toEqual({ code: 0, stdout: '{"login":"ada"}\n', stderr: "" });
    return calls[0];
  };

  it("sends the request below the API's base URL with the credential, and prints the answer alone", async () => {
    const call = await sent(["github", "/user?per_page=5"]);
    expect(call).toMatchObject({
      method: "GET",
      target: "/v3/user?per_page=5",
      headers: {
        authorization: `Bearer ${token}`,
        accept: "*/*",
        "user-agent": expect.stringMatching(/^nexusd\//),
      },
    });
    expect(call?.headers).not.toHaveProperty("content-length");
  });

  it.each([
    ["github", "user", "/v3/user"],
    ["github", "", "/v3/"],
    ["github", "//evil.example/x", "/v3/evil.example/x"],
    ["github", "@evil.example/x", "/v3/@evil.example/x"],
    ["github", "\\\\evil.example", "/v3///evil.example"],
    ["github", "/a b#c", "/v3/a%20b"],
    ["versioned", "/projects?top=1", "/projects?api-version=7&top=1"],
  ])("takes %s %j as %s", async (name, path, target) => {
    expect((await sent([name, path]))?.target).toBe(target);
  });

  it.each(samePaths)("sends %s as %s, in its canonical form", async (path, canonical) => {
    expect((await sent(["github", path]))?.target).toBe(`/v3${canonical}`);
  });

  it.each(climbingPaths)("refuses %s, which some servers read as a path above the base URL", async (path) => {
    const { code, stdout, stderr } = await curl(["github", path]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`path: must stay below ${origin}/v3/`);
    expect(calls).toEqual([]);
  });

  it("takes a URL of the same origin, and no other", async () => {
    expect((await sent(["github", `${origin}/other?x=1`]))?.target).toBe("/other?x=1");
    calls.splice(0);
    const { port } = new URL(origin);
    const others = [
      "https://evil.example/user",
      `http://localhost:${port}/user`,
      `https://127.0.0.1:${port}/user`,
      `http://user:pw@127.0.0.1:${port}/user`,
      `${origin}.evil.example/`,
      "file:///etc/passwd",
    ];
    for (const url of others) {
      const { code, stdout, stderr } = await curl(["github", url]);
      expect([url, code, stdout]).toEqual([url, 2, ""]);
      expect(stderr).toContain(`the credential goes to ${origin} alone`);
    }
    for (const header of ["Host: evil.example", "Transfer-Encoding: chunked", "Proxy-Authorization: x"]) {
      const { code, stderr } = await curl(["github", "/user", "-H", header]);
      expect([header, code, stderr]).toEqual([
        header,
        2,
        expect.stringContaining("must be a header of the request itself"),
      ]);
    }
    expect(calls).toEqual([]);
  });

  it("follows no redirect, since it could lead the credential away", async () => {
    api.answer = (response) => response.writeHead(302, { location: `${origin}/elsewhere` }).end("moved\n");
    const { code, stdout } = await curl(["-i", "github", "/user"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^HTTP\/1\.1 302 Found\r\nlocation: http:.*\/elsewhere\r\n(.*\r\n)+\r\nmoved\n$/);
    expect(calls).toHaveLength(1);
  });

  it("has curl's flags for method, headers and data", async () => {
    const file = join(world.home, "body.json");
    writeFileSync(file, '{\r\n"a": 1}\n');
    const flags = ["-X", "patch", "-H", "Content-Type: application/json", "-H", "X-Tag: a", "-H", "x-tag:b"];
    flags.push("-H", "Constructor: c", "-H", "__proto__: d");
    const call = await sent(["github", "/user", ...flags, "-d", `@${file}`]);
    expect(call).toMatchObject({
      method: "PATCH",
      headers: { "content-type": "application/json", "x-tag": "a, b", constructor: "c" },
    });
    expect(call?.body.toString()).toBe('{"a": 1}');
    calls.splice(0);
    expect((await sent(["github", "/user", "--data-binary", `@${file}`]))?.body.toString()).toBe(
      '{\r\n"a": 1}\n',
    );
    calls.splice(0);
    const form = await sent(["github", "/user", "-d", "a=1", "--data", "b=2", "-s"]);
    expect(form).toMatchObject({
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", "content-length": "7" },
    });
    expect(form?.body.toString()).toBe("a=1&b=2");
    calls.splice(0);
    expect((await sent(["github", "/user", "-X", "GET", "-d", "@-"], "piped"))?.body.toString()).toBe(
      "piped",
    );
    expect(calls[0]?.headers["content-length"]).toBe("5");
  });

  it.each<[string[], string]>([
    [["-X", "CONNECT"], "is not a method"],
    [["-X", "GET /x"], "is not a method"],
    ...echoingMethods.map((method): [string[], string] => [
      ["-X", method],
      "the answer would show the credential",
    ]),
    [["-H", "no colon"], "must be NAME: VALUE"],
    [["-H", "X: a\nY: b"], "the value holds characters"],
    [["-d", "@/nowhere/body"], "/nowhere/body cannot be read: there is no such file (ENOENT)"],
  ])("refuses %j", async (flags, words) => {
    const { code, stdout, stderr } = await curl(["github", "/user", ...flags]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(words);
    expect(calls).toEqual([]);
  });

  it.each(staticCases)("puts in the credential of $name as its strategy says", async (given) => {
    const { name, authType, strategy, header, target } = given;
    const provider = { name, authType, apiBaseUrl: origin, ...(strategy ? { strategy } : {}) };
    await world.import(provider, given.fields as Record<string, string>);
    const call = await sent([name, "/v1/me"]);
    if (header) expect(call?.headers[header[0]]).toMatch(header[1]);
    expect(call?.target).toBe(target ?? "/v1/me");
  });

  it("shows the certificate of the credential to an API that asks for one", async () => {
    const certified = await CertifiedApi.forTest();
    const provider = certified.profile;
    await world.import(provider, certified.fieldsOf("ada"));
    expect(await curl(["bank", "/user"])).toEqual({ code: 0, stdout: "ada", stderr: "" });
    await world.import({ ...provider, name: "bare" }, { api_key: "k" });
    expect(await curl(["bare", "/user"])).toMatchObject({ code: 1, stdout: "" });
    expect(certified.shown).toEqual(["ada"]);
  });

  it("signs the body that it sends", async () => {
    const strategy = { kind: { case: "hmacPayload", value: { headerName: "X-Sign" } } } as const;
    await world.import(
      { name: "signed", authType: AuthType.HMAC_PAYLOAD, apiBaseUrl: origin, strategy },
      { api_secret: "s" },
    );
    const call = await sent(["signed", "/hook", "-d", "ä=1"]);
    expect(call?.headers["x-sign"]).toBe(createHmac("sha256", "s").update("ä=1").digest("hex"));
    expect(call?.body.toString("utf8")).toBe("ä=1");
  });

  it("ends with 0 whatever the API answers, and with --fail with 23 and no body", async () => {
    api.answer = (response) => response.writeHead(404).end("no\n");
    expect(await curl(["github", "/user"])).toEqual({ code: 0, stdout: "no\n", stderr: "" });
    expect(await curl(["-f", "github", "/user"])).toEqual({
      code: 23,
      stdout: "",
      stderr: "nexusd: the API answered 404\n",
    });
  });

  it("reports a token that the API refuses, and sends the request once more with the next one", async () => {
    await world.connect("renewed", { api_base_url: origin });
    api.answer = (response, { headers }) => {
      const isFirst = headers.authorization === calls[0]?.headers.authorization;
      if (isFirst) response.writeHead(401, { "www-authenticate": 'Bearer error="invalid_token"' });
      response.end(isFirst ? "refused\n" : '{"login":"ada"}\n');
    };
    await sent(["renewed", "/user", "-d", "a=1"]);
    expect(calls.map(({ method, body }) => [method, body.toString()])).toEqual([
      ["POST", "a=1"],
      ["POST", "a=1"],
    ]);
  });

  it("prints what the API answered where there is no other credential", async () => {
    await world.import(
      { name: "keyed", authType: AuthType.API_KEY, apiBaseUrl: origin },
      { api_key: "key-secret" },
    );
    api.answer = (response) => response.writeHead(401).end("no\n");
    expect(await curl(["keyed", "/user"])).toEqual({ code: 0, stdout: "no\n", stderr: "" });
    expect(calls).toHaveLength(1);
  });

  it("says what failed without the URL, which may hold the credential", async () => {
    const strategy = { kind: { case: "queryParam", value: { paramName: "key" } } } as const;
    const apiBaseUrl = "http://127.0.0.1:1/api";
    await world.import(
      { name: "away", authType: AuthType.QUERY_PARAM, apiBaseUrl, strategy },
      { api_key: "q-secret" },
    );
    expect(await curl(["away", "/user"])).toEqual({
      code: 1,
      stdout: "",
      stderr: "nexusd: the request to http://127.0.0.1:1 failed: ECONNREFUSED\n",
    });
    api.answer = (response) => {
      response.writeHead(200, { "content-length": "100" }).write("half");
      setImmediate(() => response.destroy());
    };
    const broken = await curl(["github", "/user"]);
    expect([broken.code, broken.stderr]).toEqual([
      1,
      `nexusd: the request to ${origin} failed: ECONNRESET\n`,
    ]);
  });

  it("sends nothing without a base URL, a connection or a provider", async () => {
    expect((await curl(["baseless", "/user"])).stderr).toContain(
      "the provider baseless has no API base URL: nexusd provider update baseless --api-base-url",
    );
    await world.scripted.register({ name: "slack", api_base_url: origin });
    const { code, stderr } = await curl(["slack", "/user"]);
    expect([code, stderr]).toEqual([22, expect.stringContaining("nexusd connect slack")]);
    expect((await curl(["githu", "/user"])).stderr).toContain("did you mean github?");
    expect(calls).toEqual([]);
  });

  it("streams what the API sends, byte for byte", async () => {
    let finish = (): void => {};
    api.answer = (response) => {
      response.write("first line\n");
      finish = () => response.end("last line\n");
    };
    const shell = world.shell();
    const chunks: Uint8Array[] = [];
    const writeBytes = async (bytes: Uint8Array) => void chunks.push(bytes);
    const streaming = { ...shell, stdout: { ...shell.stdout, writeBytes } };
    const ended = run(["curl", "github", "/events"], streaming);
    await expect.poll(() => Buffer.concat(chunks).toString()).toBe("first line\n");
    finish();
    expect(await ended).toBe(0);

    api.answer = (response) => response.end(Buffer.from([0, 255, 254, 10]));
    chunks.splice(0);
    expect(await run(["curl", "github", "/bytes"], streaming)).toBe(0);
    expect([...Buffer.concat(chunks)]).toEqual([0, 255, 254, 10]);
  });
});
