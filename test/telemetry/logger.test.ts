import { inspect, stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import type { Log } from "../../src/runtime/log.js";
import { Secret } from "../../src/runtime/secret.js";
import { createLogger, type LoggerOptions } from "../../src/telemetry/logger.js";

function capture(options: Partial<LoggerOptions> = {}): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLogger({
    level: "info",
    format: "json",
    isTTY: false,
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines };
}

function logged(fields: object): Record<string, unknown> {
  const { log, lines } = capture();
  log.info(fields, "constant");
  return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
}

describe("createLogger", () => {
  it("writes one JSON object a line, with ISO time and the message", () => {
    const { log, lines } = capture();
    log.warn({ connectionId: "c", count: 3, big: 5n }, "token refreshed");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith("\n")).toBe(true);
    const entry = JSON.parse(lines[0] ?? "") as { time: string };
    expect(entry).toMatchObject({
      level: "warn",
      message: "token refreshed",
      connectionId: "c",
      count: 3,
      big: "5",
    });
    expect(entry.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it("keeps to its level", () => {
    const { log, lines } = capture({ level: "warn" });
    log.debug({}, "a");
    log.info({}, "b");
    log.error({}, "c");
    expect(lines).toHaveLength(1);
  });

  it("writes its fields, and no secret among them", () => {
    const { log, lines } = capture();
    log.info({ listener: "grpc", apiKey: "live", peer: "x" }, "open");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ listener: "grpc", apiKey: "[redacted]", peer: "x" });
  });

  it("writes plain text for a person, in colour only on a terminal", () => {
    const plain = capture({ format: "pretty" });
    plain.log.info({ path: "/data" }, "nexusd is ready");
    expect(plain.lines.join("")).toContain('nexusd is ready {"path":"/data"}');
    expect(plain.lines.join("")).not.toContain("\u001b");
    const coloured = capture({ format: "pretty", isTTY: true });
    coloured.log.info({}, "nexusd is ready");
    expect(coloured.lines.join("")).toContain("\u001b");
  });

  it("gives each field a line at a terminal that is too narrow for one", () => {
    const { log, lines } = capture({ format: "pretty", isTTY: true, columns: 80 });
    const fields = { dataDir: '/home/a "b"\u001b[2J', grpc: ["unix:/home/ada/nexus.sock"], http: [], n: 3 };
    log.info({ ...fields, apiKey: "live" }, "nexusd is ready");
    const [first, ...rest] = stripVTControlCharacters(lines.join("")).split("\n");
    expect(first).toMatch(/^\[[\d:.]+\] INFO: nexusd is ready$/);
    expect(rest).toEqual([
      '    dataDir  /home/a "b"\\u001b[2J',
      "    grpc     unix:/home/ada/nexus.sock",
      "    http     none",
      "    n        3",
      "    apiKey   [redacted]",
      "",
    ]);
    lines.length = 0;
    log.error(
      { reason: "the folder is in use: stop that nexusd first, or choose another folder than this" },
      "no",
    );
    expect(stripVTControlCharacters(lines.join("")).split("\n").slice(1)).toEqual([
      "    reason  the folder is in use: stop that nexusd first, or choose another",
      "            folder than this",
      "",
    ]);
    lines.length = 0;
    log.info({ n: 3 }, "short");
    expect(stripVTControlCharacters(lines.join(""))).toMatch(/INFO: short \{"n":3\}\n$/);
  });
});

describe("redaction", () => {
  it.each([
    "access_token",
    "accessToken",
    "refresh_token",
    "id_token",
    "client_secret",
    "clientSecret",
    "code",
    "code_verifier",
    "state",
    "nonce",
    "authorization",
    "Authorization",
    "cookie",
    "Set-Cookie",
    "x-api-key",
    "password",
    "encryption_key",
    "credentials",
  ])("hides %s at any depth", (name) => {
    const live = "L1ve-Value-42";
    const text = JSON.stringify(logged({ [name]: live, a: { b: [{ [name]: { inner: live } }] } }));
    expect(text).not.toContain(live);
    expect(text).toContain("[redacted]");
  });

  it("lets words and numbers pass that only share the name", () => {
    const fields = { code: "not_found", state: "active", nested: { code: "ENOENT", key: 3 }, token: null };
    expect(logged(fields)).toMatchObject(fields);
    expect(logged({ code: "4/0AbCdEf" })).toMatchObject({ code: "[redacted]" });
  });

  it("hides tokens inside texts", () => {
    const jwt = `eyJ${"a".repeat(20)}.${"b".repeat(20)}.${"c".repeat(20)}`;
    const text = JSON.stringify(
      logged({
        header: "Authorization: Bearer abcdefgh.ijkl",
        url: "https://x/cb?code=4/0Abc&state=xyzxyz#f",
        parsed: new URL("https://x/cb?code=4/0Abc"),
        note: `got ${jwt}`,
      }),
    );
    for (const live of ["abcdefgh.ijkl", "4/0Abc", "xyzxyz", jwt]) expect(text).not.toContain(live);
    expect(text).toContain("https://x/cb?code=[redacted]&state=[redacted]#f");
  });

  it("reduces errors to what says nothing secret", () => {
    const cause = Object.assign(new Error("bad", { cause: { body: "L1ve" } }), {
      response: { data: "L1ve" },
    });
    const { err } = logged({ err: Object.assign(new Error("outer", { cause }), { code: "EX" }) });
    expect(err).toMatchObject({ name: "Error", message: "outer", code: "EX", cause: { message: "bad" } });
    expect(inspect(err, { depth: 9 })).not.toContain("L1ve");
  });

  it("shows neither secrets nor bytes, and survives a ring", () => {
    const ring: Record<string, unknown> = { name: "ring" };
    ring["self"] = ring;
    const text = JSON.stringify(
      logged({ s: new Secret("L1ve"), bytes: Buffer.from("L1ve"), map: new Map([["a", "L1ve"]]), ring }),
    );
    expect(text).not.toContain("L1ve");
    expect(text).toContain("[4 bytes]");
  });
});
