import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { delay, SystemClock } from "../../src/runtime/clock.js";
import { startOpenIdProvider } from "../fakes/openid_provider.js";
import { freePort } from "../free_port.js";
import { perTest } from "../lifetimes.js";
import { needs } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { DaemonProcess, DaemonProcesses } from "./daemon_process.js";
import { failureOf } from "./errors.js";
import { Place, Watcher } from "./harness.js";
import { consented, registeredAt, requestOf } from "./requests.js";

const mainFile = join(import.meta.dirname, "../../dist/main.js");

describe("the process", () => {
  const place = perTest(() => Place.make());
  const daemons = perTest(() => new DaemonProcesses(place.environment));
  const file = (name: string): string => join(place.config.dataDir, name);

  /** Ends with the code, says why in one line, and never opened a listener. */
  const refused = async (daemon: DaemonProcess, code: number, sentence: RegExp): Promise<void> => {
    expect(await daemon.exited).toBe(code);
    expect(daemon.output).toMatch(sentence);
    expect(daemon.output).not.toContain("nexusd is ready");
    expect(daemon.output).not.toContain("    at ");
  };

  it("makes its files for the owner alone, and says where the keys and the redirect URI are", async () => {
    const daemon = await daemons.started();
    expect(statSync(place.config.dataDir).mode & 0o777).toBe(0o700);
    for (const name of ["encryption.key", "admin.key", "nexus.mdb", "nexus.sock"]) {
      expect([name, statSync(file(name)).mode & 0o777]).toEqual([name, 0o600]);
    }
    for (const text of [file("encryption.key"), file("admin.key"), place.config.redirectUri]) {
      expect(daemon.output).toContain(text);
    }
    expect(daemon.output).not.toContain(readFileSync(file("encryption.key"), "utf8").trim());
    expect(daemon.output).not.toContain(place.apiKey);
    expect(await daemon.kill("SIGTERM")).toBe(0);
  });

  it.each(["SIGTERM", "SIGINT"] as const)(
    "drains and exits 0 on %s long before its drain timeout, a watcher attached",
    async (signal) => {
      const daemon = await daemons.started({ NEXUS_DRAIN_TIMEOUT_MS: "60000" });
      const watcher = new Watcher(place.clients().tokens, {});
      expect((await watcher.next())?.case).toBe("bookmark");
      const before = performance.now();
      const ended = daemon.kill(signal);
      expect((await watcher.next())?.case).toBe("drain");
      expect(await watcher.next()).toBeUndefined();
      expect(await ended).toBe(0);
      expect(performance.now() - before).toBeLessThan(15_000);
    },
  );

  it("drains in order when npm passes a Ctrl-C on that the terminal has sent already", async () => {
    const daemon = await daemons.started();
    const watcher = new Watcher(place.clients().tokens, {});
    expect((await watcher.next())?.case).toBe("bookmark");
    void daemon.kill("SIGINT");
    expect((await watcher.next())?.case).toBe("drain");
    expect(await daemon.kill("SIGINT")).toBe(0);
    expect(daemon.output).toContain("stopped");
  });

  it("takes the admin's key from a file that is named, makes none, and refuses one that is missing or too short", async () => {
    const leaderPage = join(temporaryFolder(), "admin.key");
    const environment = { NEXUS_ADMIN_KEY_FILE: leaderPage };
    const missing = daemons.start(environment);
    expect(await missing.exited).toBe(1);
    expect(missing.output).toContain(`there is no file ${leaderPage}: NEXUS_ADMIN_KEY_FILE names it`);
    writeFileSync(leaderPage, "short\n", { mode: 0o600 });
    const short = daemons.start(environment);
    expect(await short.exited).toBe(1);
    expect(short.output).toContain(`${leaderPage} does not hold an API key of at least 20 characters`);
    const key = "0123456789abcdef0123456789abcdef";
    writeFileSync(leaderPage, `${key}\n`);
    await daemons.started(environment);
    expect(existsSync(file("admin.key"))).toBe(false);
    const list = (shown: string) =>
      fetch(`${place.httpUrl}/v1/providers`, { headers: { "x-api-key": shown } }).then(
        ({ status }) => status,
      );
    expect([await list(key), await list(`${key}0`)]).toEqual([200, 401]);
  });

  it("refuses a second daemon on the folder", async () => {
    const first = await daemons.started();
    await refused(daemons.start(), 10, new RegExp(`in use by process ${first.pid}`));
  });

  it("refuses a wrong key, a malformed one, and one that is gone", async () => {
    await (await daemons.started()).kill("SIGTERM");
    const other = Buffer.alloc(32, 7).toString("base64");
    await refused(daemons.start({ NEXUS_ENCRYPTION_KEY: other }), 11, /not the one that sealed this store/);
    const leaderPage = join(temporaryFolder(), "key");
    writeFileSync(leaderPage, "too short", { mode: 0o600 });
    const malformed = daemons.start({ NEXUS_ENCRYPTION_KEY_FILE: leaderPage });
    await refused(malformed, 11, /must hold base64 of 32 bytes/);
    rmSync(file("encryption.key"));
    await refused(daemons.start(), 11, /encryption\.key is missing/);
  });

  it("refuses key files that other users can read, and closes those in its folder", async () => {
    await (await daemons.started()).kill("SIGTERM");
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    for (const [setting, name] of [
      ["NEXUS_ENCRYPTION_KEY_FILE", "encryption.key"],
      ["NEXUS_ADMIN_KEY_FILE", "admin.key"],
    ] as const) {
      const leaderPage = join(folder, name);
      copyFileSync(file(name), leaderPage);
      for (const [mode, shown] of [
        [0o644, "0644"],
        [0o666, "0666"],
        [0o602, "0602"],
      ] as const) {
        chmodSync(leaderPage, mode);
        const daemon = daemons.start({ [setting]: leaderPage });
        await refused(daemon, setting === "NEXUS_ADMIN_KEY_FILE" ? 2 : 11, /run \\?"chmod 600\\?" on it/);
        expect(daemon.output).toContain(`(mode ${shown})`);
        expect(statSync(leaderPage).mode & 0o777).toBe(mode);
      }
      // As a pod mounts it.
      chmodSync(leaderPage, 0o440);
      await (await daemons.started({ [setting]: leaderPage })).kill("SIGTERM");
    }
    for (const name of ["encryption.key", "admin.key"]) chmodSync(file(name), 0o644);
    const daemon = await daemons.started();
    for (const name of ["encryption.key", "admin.key"]) {
      expect(statSync(file(name)).mode & 0o777).toBe(0o600);
      expect(daemon.output).toContain(file(name));
    }
    expect(daemon.output).toContain("was open to other users and is now 0600");
    await daemon.kill("SIGTERM");
    const again = await daemons.started();
    expect(again.output).not.toContain("open to other users");
  });

  it("says which keys of clients other users can read, once at its start, and takes them", async () => {
    const folder = temporaryFolder();
    const made = (name: string, mode: number): string => {
      writeFileSync(join(folder, name), "a key");
      chmodSync(join(folder, name), mode);
      return `${name}=${join(folder, name)}`;
    };
    symlinkSync(join(folder, "open"), join(folder, "linked"));
    const files = [
      made("open", 0o644),
      made("writable", 0o602),
      made("closed", 0o600),
      made("of-group", 0o440),
    ];
    const more = [`linked=${join(folder, "linked")}`, `none=${join(folder, "none")}`, `folder=${folder}`];
    const daemon = await daemons.started({ NEXUS_SIGNING_KEY_FILES: [...files, ...more].join(",") });
    const told = daemon.output.split("\n").filter((line) => line.includes("NEXUS_SIGNING_KEY_FILES"));
    expect(told.map((line) => /name\W+([\w-]+)\W+mode\W+(\d+)/.exec(line)?.slice(1))).toEqual([
      ["open", "0644"],
      ["writable", "0602"],
      ["linked", "0644"],
    ]);
    expect(daemon.output).not.toContain(folder);
    expect(statSync(join(folder, "open")).mode & 0o777).toBe(0o644);
    await daemon.kill("SIGTERM");
  });

  it("accepts the key from a file or from the environment", async () => {
    await (await daemons.started()).kill("SIGTERM");
    const key = readFileSync(file("encryption.key"), "utf8").trim();
    const leaderPage = join(temporaryFolder(), "key");
    copyFileSync(file("encryption.key"), leaderPage);
    rmSync(file("encryption.key"));
    await (await daemons.started({ NEXUS_ENCRYPTION_KEY_FILE: leaderPage })).kill("SIGTERM");
    const daemon = await daemons.started({ NEXUS_ENCRYPTION_KEY: key });
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(daemon.output).not.toContain(key);
  });

  it.each([
    ["truncated", (path: string) => truncateSync(path, 20_000)],
    ["cut to one page", (path: string) => truncateSync(path, 4096)],
    ["empty", (path: string) => truncateSync(path, 0)],
    ["garbage", (path: string) => writeFileSync(path, Buffer.alloc(65_536, 0x5a))],
  ])("refuses a store file that is %s", async (_name, damage) => {
    await (await daemons.started()).kill("SIGTERM");
    damage(file("nexus.mdb"));
    await refused(daemons.start(), 12, /nexus\.mdb/);
  });

  it("names the listener, the address and the setting when a port is taken", async () => {
    const port = Number(place.environment["NEXUS_OPS_LISTEN"]?.split(":")[1]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    const failed = daemons.start();
    await refused(failed, 13, new RegExp(`ops listener.*127\\.0\\.0\\.1:${port}.*NEXUS_OPS_LISTEN`));
    await new Promise((resolve) => server.close(resolve));
    // The keys that it made are gone, and so are not announced.
    expect(failed.output).not.toMatch(/created (an encryption|the API) key/);
    expect([existsSync(file("encryption.key")), existsSync(file("admin.key"))]).toEqual([false, false]);
    const { output } = await daemons.started();
    expect(output).toMatch(/created an encryption key.*created the API key.*nexusd is ready/s);
  });

  it("refuses a data folder and a providers file that it cannot use, in a sentence", async () => {
    const folder = { NEXUS_DATA_DIR: "/proc/nexusd/data", NEXUS_GRPC_LISTEN: "off" };
    await refused(
      daemons.start(folder),
      2,
      /the data folder \/proc\/nexusd\/data cannot be made or written \(ENOENT\)/,
    );
    const providers = { NEXUS_PROVIDERS_FILE: file("none.yaml") };
    await refused(
      daemons.start(providers),
      2,
      /the providers file .*none.yaml cannot be read: there is no such file \(ENOENT\)/,
    );
  });

  it("does not start with a broken catalogue, and says where it is broken", async () => {
    const catalogue = join(temporaryFolder(), "broken.yaml");
    writeFileSync(catalogue, "providers:\n  - name: acme\n    display_name: Acme\n");
    const sentence = /broken\.yaml.*2:5: providers\[0\] \(acme\): must have required property 'auth_type'/s;
    await refused(daemons.start({ NEXUS_CATALOG_FILE: catalogue }), 2, sentence);
  });

  it("reports all errors of the settings at once, with code 2", async () => {
    const daemon = daemons.start({ NEXUS_HTTP_LISTEN: "nowhere", NEXUS_PUBLIC_URL: "ftp://x" });
    await refused(daemon, 2, /NEXUS_HTTP_LISTEN/);
    expect(daemon.output).toMatch(/NEXUS_PUBLIC_URL/);
  });

  describe("with a connection", () => {
    const provider = perTest(() => startOpenIdProvider({ redirectUris: [`${place.config.redirectUri}/op`] }));
    let connectionId: string;
    let daemon: DaemonProcess;
    beforeEach(async () => {
      daemon = await daemons.started();
      await registeredAt(provider, place.clients());
      connectionId = await consented(place.clients(), requestOf("op"));
    });
    const restartAfterKill = async (): Promise<void> => {
      await daemon.kill("SIGKILL");
      daemon = await daemons.started();
    };

    it("survives kill -9: the token is there, can be refreshed, and a watcher resumes", async () => {
      const watcher = new Watcher(place.clients().tokens, {});
      const bookmark = await watcher.until((event) => event.case === "bookmark");
      const { token } = await place.clients().tokens.refreshToken({ connectionId });
      await restartAfterKill();
      expect((await place.clients().tokens.getToken({ connectionId })).token).toEqual(token);
      expect((await place.clients().tokens.refreshToken({ connectionId })).token?.revision).toBe(3n);
      const position = bookmark.case === "bookmark" ? bookmark.value.position : undefined;
      const resumed = new Watcher(place.clients().tokens, position ? { position } : {});
      expect(await resumed.next()).toMatchObject({ case: "state", value: { connectionId, revision: 3n } });
      resumed.cancel();
    });

    it("killed after the refresh token was sent and before the answer: the next attempt is made, and its refusal is called what it is", async () => {
      const release = provider.holdTokenResponses();
      const lost = failureOf(place.clients().tokens.refreshToken({ connectionId }));
      await provider.waitForTokenRequests(2);
      await restartAfterKill();
      await lost;
      release();
      const failure = await failureOf(place.clients().tokens.refreshToken({ connectionId }));
      expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "ATTENTION_REQUIRED" });
      const { connection } = await place.clients().connections.getConnection({ connectionId });
      expect(connection?.problem?.reason).toBe("outcome_unknown");
    });

    it("watch --json ends with 0 when its reader has gone, as with | head", async () => {
      const watch = spawn(process.execPath, [mainFile, "watch", "--json"], {
        env: { ...process.env, ...place.environment },
        stdio: ["ignore", "pipe", "pipe"],
      });
      onTestFinished(() => void watch.kill("SIGKILL"));
      let errors = "";
      watch.stderr.setEncoding("utf8").on("data", (text: string) => {
        errors += text;
      });
      const ended = once(watch, "exit");
      await once(watch.stdout, "data");
      watch.stdout.destroy();
      await place.clients().tokens.refreshToken({ connectionId });
      expect([(await ended)[0], errors]).toEqual([0, ""]);
    });

    it("killed before the provider acted: the next attempt succeeds", async () => {
      await provider.setOutage("hang");
      const lost = failureOf(place.clients().tokens.refreshToken({ connectionId }));
      await provider.waitForTokenRequests(2);
      await daemon.kill("SIGKILL");
      await lost;
      await provider.setOutage("none");
      daemon = await daemons.started();
      expect((await place.clients().tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
    });

    it("paused while it drains, for longer than that may take: stores what came meanwhile", async () => {
      await daemon.kill("SIGTERM");
      daemon = await daemons.started({ NEXUS_DRAIN_TIMEOUT_MS: "500" });
      const release = provider.holdTokenResponses();
      const answer = place.clients().tokens.refreshToken({ connectionId });
      await provider.waitForTokenRequests(2);
      daemon.signal("SIGTERM");
      await daemon.wrote(/"draining"/);
      daemon.signal("SIGSTOP");
      release();
      await delay(new SystemClock(), 1_500);
      daemon.signal("SIGCONT");
      expect((await answer).token?.revision).toBe(2n);
      expect(await daemon.exited).toBe(0);
      daemon = await daemons.started();
      expect((await place.clients().tokens.getToken({ connectionId })).token?.revision).toBe(2n);
    });

    it("exits 0 after its drain timeout even while the provider hangs", async () => {
      await daemon.kill("SIGTERM");
      daemon = await daemons.started({ NEXUS_DRAIN_TIMEOUT_MS: "500" });
      await provider.setOutage("hang");
      const lost = failureOf(place.clients().tokens.refreshToken({ connectionId }));
      await provider.waitForTokenRequests(2);
      const before = performance.now();
      expect(await daemon.kill("SIGTERM")).toBe(0);
      // A request to a provider may take ten seconds.
      expect(performance.now() - before).toBeLessThan(8_000);
      await lost;
    });
  });
});

describe("--port-base", () => {
  /** Of four ports in a row. */
  async function freePortBase(): Promise<number> {
    for (;;) {
      const [first, second, third] = [await freePort(), await freePort(), await freePort()];
      if (second === first + 1 && third === first + 2 && (await freePort()) === first + 3) return first;
    }
  }

  it("runs two daemons of one user, each by one setting, and commands find the one that is meant", async () => {
    const home = temporaryFolder();
    const environment = { HOME: home, XDG_DATA_HOME: join(home, "data"), NEXUS_LOG_FORMAT: "json" };
    const bases = [await freePortBase(), await freePortBase()];
    const daemons = bases.map((base) => new DaemonProcess(environment, ["serve", "--port-base", `${base}`]));
    onTestFinished(async () => {
      await Promise.all(daemons.map((daemon) => daemon.kill("SIGTERM")));
    });
    await Promise.all(daemons.map((daemon) => daemon.ready()));
    const nexusd = async (...args: string[]): Promise<string> => {
      const process = new DaemonProcess(environment, args);
      expect([args, await process.exited]).toEqual([args, 0]);
      return process.output;
    };
    const [first = 0, second = 0] = bases;
    await nexusd("provider", "add", "weather", "--auth-type", "api_key", "--port-base", `${first}`);
    expect(await nexusd("provider", "list", "--port-base", `${first}`)).toContain("weather");
    expect(await nexusd("provider", "list", "--port-base", `${second}`)).not.toContain("weather");
    expect(await nexusd("whoami", "--port-base", `${second}`)).toContain(
      `${join(home, "data", `nexusd-${second}`)}/nexus.sock`,
    );
    expect(await nexusd("health", "--port-base", `${first}`)).toBe("ready\n");
    expect(await nexusd("open", "--port-base", `${first}`)).toMatch(
      new RegExp(`^http://127\\.0\\.0\\.1:${first + 3}/open\\?code=[\\w-]{43}\n`),
    );
    const page = await fetch(`http://localhost:${second + 1}/`);
    expect(page.status).toBe(200);
  });
});

describe("log format", () => {
  /** Runs the rest of its arguments, none with white space, on a terminal of their own. */
  const onTerminal = ["sh", "-c", 'exec script --quiet --return --flush --command "$*" /dev/null', "sh"];

  const escapeCharacter = String.fromCharCode(27);

  describe("the log on standard output", () => {
    const place = perTest(() => Place.make({ NEXUS_LOG_FORMAT: "" }));
    let daemon: DaemonProcess | undefined;
    afterEach(() => daemon?.kill("SIGTERM"));

    it("is an object a line where no terminal is attached", async () => {
      daemon = new DaemonProcess(place.environment);
      await daemon.ready();
      const lines = daemon.output.trimEnd().split("\n");
      expect(lines.length).toBeGreaterThan(1);
      for (const line of lines) {
        expect(JSON.parse(line)).toMatchObject({
          level: expect.stringMatching(/^(info|warn)$/),
          time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
          message: expect.any(String),
        });
      }
    });

    it("is for a person, in colours, where a terminal is attached", async (context) => {
      needs(context, "script");
      daemon = new DaemonProcess(place.environment, ["serve"], onTerminal);
      await daemon.wrote(/nexusd is ready/);
      const line = daemon.output.split("\n").find((text) => text.includes("nexusd is ready")) ?? "";
      expect(line).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\]/);
      expect(line).toContain("INFO");
      expect(line).toContain(`${escapeCharacter}[`);
      expect(daemon.output).not.toMatch(/^\{/m);
    });

    it("is an object a line on a terminal too where that is asked for", async (context) => {
      needs(context, "script");
      daemon = new DaemonProcess({ ...place.environment, NEXUS_LOG_FORMAT: "json" }, ["serve"], onTerminal);
      await daemon.ready();
      expect(daemon.output).toMatch(/^\{.*"nexusd is ready"\}\r?$/m);
    });
  });
});

describe("an exit that hangs", () => {
  const module = pathToFileURL(join(import.meta.dirname, "../../dist/core/exit_codes.js")).href;

  it("a process whose exit would never return ends all the same, with its code where Node.js can", () => {
    const script = `import { endAtOnce } from ${JSON.stringify(module)};
    process.on("exit", () => { for (;;); });
    endAtOnce(14);`;
    const args = ["--input-type=module", "--eval", script];
    const { status, signal } = spawnSync(process.execPath, args, { timeout: 40_000, killSignal: "SIGTERM" });
    expect([status, signal]).toEqual("execve" in process ? [14, null] : [null, "SIGKILL"]);
  });
});

describe("policy", () => {
  describe("nexusd serve --policy", () => {
    const folder = temporaryFolder();
    const file = join(folder, "policy.yaml");
    let running: DaemonProcess | undefined;
    afterEach(async () => {
      await running?.kill("SIGKILL");
    });

    it("refuses a broken file with exit code 2, and reads a good one again on SIGHUP", async () => {
      const place = await Place.make();
      const serve = (): DaemonProcess => new DaemonProcess(place.environment, ["serve", "--policy", file]);
      writeFileSync(file, "bindings:\n  - principals: [nobody]\n    role: agent\n");
      const refused = serve();
      expect(await refused.exited).toBe(2);
      expect(refused.output).toContain(
        "policy.yaml:2:18: principals[0]: must begin with one of key: cert: jwt: uid:",
      );
      writeFileSync(file, "bindings: []\n");
      running = serve();
      await running.ready();
      expect(running.output).toContain('"bindings":0');
      writeFileSync(file, 'bindings:\n  - principals: ["uid:1000"]\n    role: operator\n');
      running.signal("SIGHUP");
      await running.wrote(/"bindings":1/);
      expect(await running.kill("SIGTERM")).toBe(0);
    });
  });
});

describe("nexusd serve --providers", () => {
  it("is applied on SIGHUP by the process, and named by the flag", async () => {
    const file = join(temporaryFolder(), "providers.yaml");
    writeFileSync(
      file,
      `providers:
  - name: github
    client_id: id
    client_secret: \${FIRST_SECRET}
    auth_url: https://github.com/a
    token_url: https://github.com/t
`,
    );
    const place = await Place.make({ FIRST_SECRET: "s3cret-one" });
    const present = async () => (await place.clients().providers.listProviders({})).providers;
    const running = new DaemonProcess(place.environment, ["serve", "--providers", file]);
    onTestFinished(async () => void (await running.kill("SIGKILL")));
    await running.ready();
    expect(running.output).toContain("the providers file is applied");
    const [before] = await present();
    await place.clients().providers.deleteProvider({ id: before?.id ?? "" });
    running.signal("SIGHUP");
    await running.wrote(/"created":\["github"\].*"created":\["github"\]/s);
    expect((await present()).map(({ name }) => name)).toEqual(["github"]);
    expect(running.output).not.toContain("s3cret");
    expect(await running.kill("SIGTERM")).toBe(0);
  });
});

it("reads nothing from beside the bundle that is not there", () => {
  const bundle = join(import.meta.dirname, "../../dist/bundle");
  const read = readdirSync(bundle)
    .filter((file) => file.endsWith(".mjs"))
    .flatMap((file) => [
      ...readFileSync(join(bundle, file), "utf8").matchAll(/new URL\("([^"]+)",import\.meta\.url\)/g),
    ])
    .map(([, path = ""]) => path);
  expect(read).toContain("../catalogue/providers.json");
  expect(read.filter((path) => !existsSync(join(bundle, path)))).toEqual([]);
});
