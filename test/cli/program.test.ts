import { once } from "node:events";
import { createServer } from "node:http";
import { describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.js";
import { run } from "../../src/cli/program.js";
import { programName } from "../../src/cli/shell/program_name.js";
import { allSettings, commandGroup } from "../../src/config/settings.js";
import { readVersion } from "../../src/config/version.js";
import { exitCodeMeanings, exitCodes } from "../../src/core/exit_codes.js";
import { extensions } from "../../src/ext/extensions.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { perTest } from "../lifetimes.js";
import { connectionId, FakeDaemon } from "./fake_daemon.js";
import { ended, fakeShell, jsonLines } from "./fake_shell.js";

const rows = [...commands, ...extensions.flatMap((extension) => extension.commands ?? [])];

describe("nexusd", () => {
  it("prints help and ends with 2 for a group without a command", async () => {
    const shell = await ended(2, ["provider"], fakeShell());
    expect(shell.out()).toBe("");
    expect(shell.err()).toContain("Usage: nexusd provider");
  });

  it("documents every exit code", async () => {
    const shell = await ended(0, ["exit-codes"], fakeShell());
    for (const [name, code] of Object.entries(exitCodes)) {
      expect(shell.out()).toContain(`${code}  ${exitCodeMeanings[name as keyof typeof exitCodes]}`);
    }
  });

  it("lists its commands by task, on one screen of 50 lines and 80 columns", async () => {
    const shell = await ended(0, ["--help"], fakeShell({ columns: 80 }));
    const lines = shell.out().trimEnd().split("\n");
    for (const { name } of rows) expect(lines).toContainEqual(expect.stringMatching(`^  ${name}  +[a-z]`));
    expect(lines.filter((line) => line.endsWith(":"))).toEqual([
      ...["Get started:", "Use a credential:", "Look after connections:"],
      ...["Control access:", "Operate the daemon:"],
    ]);
    expect(lines.length).toBeLessThanOrEqual(50);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  it("prints its version for --version", async () => {
    const shell = await ended(0, ["--version"], fakeShell());
    expect(shell.out()).toBe(`${readVersion()}\n`);
  });

  it("prints what a report must name for version", async () => {
    const shell = await ended(0, ["version"], fakeShell());
    const { platform, arch, version: node } = process;
    expect(shell.out()).toBe(
      `nexusd   ${readVersion()}\ncommit   unknown\nNode     ${node}\nplatform ${platform}-${arch}\n`,
    );
  });

  it("prints the same as one object for version --json", async () => {
    const shell = await ended(0, ["version", "--json"], fakeShell());
    const { platform, arch, version: node } = process;
    const expected = { version: readVersion(), commit: "unknown", node, platform: `${platform}-${arch}` };
    expect(JSON.parse(shell.out())).toEqual(expected);
  });

  it.each([[["fly"]], [["token", "--shiny"]], [["connections", "list", "extra"]]])(
    "refuses %j",
    async (args) => {
      const shell = await ended(2, args, fakeShell());
      expect(shell.err()).toMatch(/^nexusd: /);
    },
  );
});

describe("the flags of every command", () => {
  const daemon = perTest(async () => {
    const made = new FakeDaemon();
    made.addConnection({ status: ConnectionStatus.ACTIVE });
    await made.start();
    return made;
  });

  it.each([
    ["before it", ["--json", "--address", "ADDRESS", "connections", "list"]],
    ["before a group whose command is left out", ["--address=ADDRESS", "--json", "connections"]],
    ["after it", ["connections", "list", "--json", "--address", "ADDRESS"]],
    ["on both sides of it", ["--json", "connections", "show", connectionId, "--address=ADDRESS"]],
  ])("may stand %s", async (_where, args) => {
    const shell = fakeShell();
    const address = `unix:${daemon.socketPath}`;
    expect(
      await run(
        args.map((word) => word.replace("ADDRESS", address)),
        shell,
      ),
    ).toBe(0);
    expect(jsonLines(shell.out())).toMatchObject([{ id: connectionId }]);
  });

  it("that say where the daemon is are explained by one command, and named by the others", async () => {
    const helpOf = async (...args: string[]) => (await ended(0, [...args, "--help"], fakeShell())).out();
    expect(await helpOf("status")).toMatch(/--ca-file <file> +PEM: the CAs to trust/);
    const others = await helpOf("connections", "list");
    expect(others).toMatch(/see nexusd status --help\):[\s\S]* --ca-file,[\s\S]* --port-base/);
    expect(others).not.toContain("PEM");
    const slip = await ended(2, ["connections", "list", "--ca-fil", "x"], fakeShell());
    expect(slip.err()).toContain("Did you mean --ca-file?");
  });

  it("say that JSON comes as one object a line", async () => {
    const shell = fakeShell();
    await run(["connections", "list", "--help"], shell);
    expect(shell.out()).toMatch(/--json +print JSON: one object a line/);
  });
});

describe("a group that has no such command", () => {
  const refused = async (sentence: string | RegExp, args: string[]) => {
    const shell = await ended(2, args, fakeShell());
    expect(shell.out()).toBe("");
    const said =
      typeof sentence === "string" ? expect.stringContaining(sentence) : expect.stringMatching(sentence);
    expect(shell.err()).toEqual(said);
  };

  it.each([
    ["unknown command 'shwo': there are list, show, import,", ["connections", "shwo", "github"]],
    ["unknown command 'x?y'", ["audit", "x\x1by"]],
    ["unknown command 'list1'", ["keys", "list1"]],
    ["too many arguments for 'list'", ["connections", "list", "extra"]],
    [/'create': there are add, .*; did you mean nexusd provider add\?\n/, ["provider", "create", "acme"]],
    [/'get': there are .*; did you mean nexusd connections show\?\n/, ["connections", "get", "github"]],
    [/^nexusd: unknown command 'refresh': did you mean nexusd connections refresh\?\n/, ["refresh"]],
    [/'list': did you mean nexusd provider list, or nexusd connections list, or nexusd keys list/, ["list"]],
  ])("says %s", async (sentence, args) => {
    await refused(sentence, args);
  });

  it.each([
    [/^nexusd: unknown command 'foo'\nsee: nexusd --help\n$/, ["foo", "--help"]],
    ["Did you mean connections?", ["conections", "--help"]],
    [/'create': there are .*; did you mean nexusd provider add\?\n/, ["provider", "create", "-h", "acme"]],
    ["'foo': there are list,", ["connections", "foo", "--json", "--help"]],
    [/^nexusd: unknown command 'foo'\n/, ["help", "foo"]],
  ])("says %s for its help too", async (sentence, args) => {
    await refused(sentence, args);
  });
});

describe("examples", () => {
  const all = rows.flatMap(({ name, examples }): [path: string, example: string][] =>
    typeof examples === "string"
      ? [[name, examples]]
      : Object.entries(examples).map(([leaf, example]) => [`${name} ${leaf}`, example]),
  );
  it.each(all)("shows one for nexusd %s", async (path, example) => {
    const shell = await ended(0, [...path.split(" "), "--help"], fakeShell());
    expect(shell.out()).toContain(`\nExample:\n  ${`nexusd ${path} ${example}`.trimEnd()}\n`);
  });

  it("shows one for a group", async () => {
    const shell = await ended(0, ["connections", "--help"], fakeShell());
    expect(shell.out()).toMatch(/\nExample:\n {2}nexusd connections list .+\n$/);
  });

  // These would write files here, or go on.
  const others = all.filter(([path]) => !["restore", "keys create", "demo-provider"].includes(path));
  it.each(others)("shows one that can be read: nexusd %s", async (path, example) => {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: "/nonexistent" } });
    await run([...path.split(" "), ...example.split(" ").filter((word) => word !== "")], shell);
    expect(shell.err()).not.toMatch(/unknown (option|command)|argument|see: nexusd/);
  });
});

describe("hints", () => {
  it.each([
    [["token"], "see: npx nexusd token --help"],
    [["token", "--help"], "Usage: npx nexusd token"],
    [["token", connectionId], "is `npx nexusd serve` running?"],
    [
      ["provider", "add", "github"],
      "cannot add a provider: the daemon is not reachable at unix:/nonexistent",
    ],
    [
      ["provider", "add", "own", "--issuer", "https://a.example"],
      "cannot add a provider: the daemon is not reach",
    ],
    [["audit", "--since", "soon"], "today, yesterday, or a time such as"],
  ])("can be pasted as the program was started: %j", async (args, hint) => {
    const shell = fakeShell({ program: "npx nexusd", env: { NEXUS_DATA_DIR: "/nonexistent" } });
    await run(args, shell);
    expect(shell.out() + shell.err()).toContain(hint);
    expect(shell.out() + shell.err()).not.toMatch(/(?<!npx )nexusd [a-z]/);
  });

  it.each([
    ["nexusd", { script: "/usr/local/bin/nexusd", env: { PATH: "/bin:/usr/local/bin" } }],
    ["npx nexusd", { script: "/w/node_modules/.bin/nexusd", env: { npm_command: "exec" } }],
    ["npx --no-install nexusd", { script: "/w/dist/main.js", env: { npm_command: "start" } }],
    ["node dist/main.js", { script: "/w/dist/main.js", env: {} }],
    ["node /app/main.js", { script: "/app/main.js", env: {} }],
    ["./node_modules/.bin/nexusd", { script: "/w/node_modules/.bin/nexusd", env: { PATH: "/bin" } }],
    ["/opt/bin/nexusd", { script: "/opt/bin/nexusd", env: {} }],
  ])("begin with %s", (name, start) => {
    expect(programName({ ...start, folder: "/w" })).toBe(name);
  });
});

describe("serve", () => {
  it.each([
    [
      "at a terminal",
      { outIsTTY: true, env: {} },
      "\nTo see the next step, run in another terminal: nexusd\n\n",
    ],
    ["with a log in JSON", { outIsTTY: true, env: { NEXUS_LOG_FORMAT: "json" } }, ""],
    ["without a terminal", { outIsTTY: false, env: {} }, ""],
  ])("says where to go on when it is ready %s", async (_, more, said) => {
    const shell = fakeShell({ ...more, env: { NEXUS_DATA_DIR: "/data", ...more.env } });
    expect(await run(["serve"], shell)).toBe(0);
    expect(shell.out()).toBe("");
    shell.served[0]?.onReady();
    expect(shell.out()).toBe(said);
  });

  it("hands the checked settings to the daemon and returns its exit code", async () => {
    const shell = fakeShell({
      env: { NEXUS_DATA_DIR: "/data", NEXUS_LOGLEVEL: "debug" },
      daemonExitCode: exitCodes.dataFolderInUse,
    });
    expect(await run(["serve", "--log-level", "warn", "--ops-listen", ""], shell)).toBe(10);
    expect(shell.served).toMatchObject([
      { config: { dataDir: "/data", logLevel: "warn", logFormat: "json", opsListen: [] } },
    ]);
    expect(shell.served[0]?.warnings).toHaveLength(1);
    expect(shell.err()).toBe("");
  });

  it.each<readonly [string, Parameters<typeof fakeShell>[0], readonly string[], RegExp]>([
    [
      "settings",
      { env: { NEXUS_LOG_LEVEL: "loud" } },
      ["--public-url", "x"],
      /^the settings cannot be used\n {2}--/,
    ],
    [
      "its own form",
      { env: { NEXUS_LOG_FORMAT: "xml" } },
      [],
      /^the settings cannot be used\n {2}NEXUS_LOG_FORMAT/,
    ],
    ["an option", {}, ["--nope"], /^unknown option '--nope'/],
    [
      "a setting with a typo",
      {},
      ["--browser-listn", "x"],
      /^unknown option '--browser-listn'\n\(Did you mean --browser-listen\?\)/,
    ],
    ["an argument", {}, ["now"], /^too many arguments/],
    ["an option without its value", {}, ["--public-url"], /argument missing/],
    ["an option of a terminal", { outIsTTY: true }, ["--nope", "--log-format", "json"], /^unknown option/],
    ["an option, joined", { outIsTTY: true }, ["--nope", "--log-format=json"], /^unknown option/],
    [
      "an option by the environment",
      { outIsTTY: true, env: { NEXUS_LOG_FORMAT: "json" } },
      ["--nope"],
      /^unknown/,
    ],
  ])("refuses %s in a line of its log, where that is JSON", async (_what, given, args, reason) => {
    const shell = await ended(2, ["serve", ...args], fakeShell(given));
    expect(jsonLines(shell.out())).toEqual([
      {
        level: "error",
        time: new Date(shell.clock.nowMs()).toISOString(),
        reason: expect.stringMatching(reason),
        message: "nexusd cannot start",
      },
    ]);
    expect(shell.err()).toBe("");
    expect(shell.served).toEqual([]);
  });

  it.each([
    [["--nope", "--log-format", "pretty"], false],
    [["--nope"], true],
  ])("refuses %j for a person in words", async (args, outIsTTY) => {
    const shell = await ended(2, ["serve", ...args], fakeShell({ outIsTTY }));
    expect(shell.err()).toMatch(/^nexusd: unknown option '--nope'/);
    expect(shell.out()).toBe("");
  });

  it("shows all errors of the settings and ends with 2", async () => {
    const shell = await ended(
      2,
      ["serve", "--public-url", "x"],
      fakeShell({ env: { NEXUS_LOG_LEVEL: "loud" }, outIsTTY: true }),
    );
    expect(shell.err()).toMatch(/^nexusd: the settings cannot be used\n {2}--public-url: .*\n {2}NEXUS_LOG/);
    expect(shell.served).toEqual([]);
  });

  it("explains every setting of the daemon", async () => {
    const shell = await ended(0, ["serve", "--help"], fakeShell());
    const settings = allSettings(extensions);
    for (const { name, group } of settings) {
      expect(shell.out().includes(`  ${name}`)).toBe(group !== commandGroup);
    }
    const titles = [...shell.out().matchAll(/^(\w.*):$/gm)].map(([, title]) => title);
    expect(titles).toEqual(
      ["Options", "First ten settings", ...new Set(settings.map(({ group }) => group))]
        .filter((title) => title !== commandGroup)
        .concat("Example"),
    );
  });

  it.each([48, 80, 200, undefined])("breaks its help at %s columns", async (columns) => {
    const shell = await ended(0, ["serve", "--help"], fakeShell({ columns }));
    const prose = shell
      .out()
      .split("\n")
      .filter((line) => line.startsWith("      "));
    const widest = Math.max(...prose.map((line) => line.length));
    expect(widest).toBeLessThanOrEqual(Math.min(columns ?? 110, 110));
    expect(widest).toBeGreaterThan(Math.min(columns ?? 110, 110) - 20);
  });

  it("takes no secret as an argument", async () => {
    for (const flag of ["--encryption-key", "--api-key", "--client-secret"]) {
      const shell = await ended(2, ["serve", flag, "s3cret"], fakeShell());
      expect(shell.err()).not.toContain("s3cret");
    }
  });
});

describe("health", () => {
  async function health(status: number, args: string[] = []) {
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(status).end("body");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const shell = fakeShell({ env: { NEXUS_OPS_LISTEN: `0.0.0.0:${port}` } });
    const code = await run(["health", ...args], shell);
    await new Promise((resolve) => server.close(resolve));
    return { code, shell, paths, port };
  }

  it("asks the ops listener on loopback whether it is ready", async () => {
    const { code, shell, paths } = await health(200);
    expect([code, shell.out(), paths]).toEqual([0, "ready\n", ["/readyz"]]);
  });

  it("ends with 1 when it is not", async () => {
    const { code, shell } = await health(503);
    expect(code).toBe(1);
    expect(shell.err()).toContain("returns 503 for /readyz");
    const json = await health(503, ["--json"]);
    expect(jsonLines(json.shell.out())).toEqual([{ ready: false, answer: 503 }]);
  });

  it.each([
    [{ NEXUS_OPS_LISTEN: "unix:/nonexistent.sock" }, "ENOENT"],
    [{ NEXUS_OPS_LISTEN: "off" }, "no listener"],
    [{ NEXUS_OPS_LISTEN: "x" }, "host:port"],
  ])("ends with 1 for %j", async (env, text) => {
    const shell = await ended(1, ["health"], fakeShell({ env }));
    expect(shell.err()).toContain(text);
  });
});
