import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { FakeWebProxy } from "../../../fakes/web_proxy.js";
import { perSuite } from "../../../lifetimes.js";
import { needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { key, RunWorld, root } from "./run_world.js";

describe("nexusd run", () => {
  const world = perSuite(() => RunWorld.start());

  it("runs a program whose requests get the credential, and ends as it ends", async () => {
    const { stdout, stderr, code } = await world.run([], { ASKED: `${world.url}/user`, EXIT: "7" });
    expect([code, stderr]).toEqual([7, ""]);
    expect(stdout).toMatch(/^HTTP\/1.1 200[\s\S]*the API got the key/);
  });

  it("leaves nothing of the daemon and no credential in its environment", async () => {
    const flags = ["--placeholder", "ACME_TOKEN=acme"];
    const { stdout } = await world.run(flags, { PRINTS_ENVIRONMENT: "1", NEXUS_API_KEY: "for-nexusd-alone" });
    const env = JSON.parse(stdout) as Record<string, string>;
    expect(env).toMatchObject({
      ACME_TOKEN: "nexusdPlaceholderKqv-acme",
      NODE_USE_ENV_PROXY: "1",
    });
    expect(Object.keys(env).filter((name) => name.startsWith("NEXUS_"))).toEqual([]);
    expect(stdout).not.toContain(key);
  });

  it("leaves no folder when it is ended before its program has started", async () => {
    const temporary = temporaryFolder();
    const child = world.spawned([], ["sleep", "600"], { TMPDIR: temporary });
    const folders = () => readdirSync(temporary).filter((name) => name.startsWith("nexusd-run-"));
    while (folders().length === 0) await new Promise(setImmediate);
    child.kill("SIGTERM");
    const [code, signal] = await once(child, "close");
    expect(signal === "SIGTERM" || code === 143).toBe(true);
    expect(folders()).toEqual([]);
  });

  it("leaves to Node the certificates that it trusts already", async () => {
    const roots = join(world.work, "roots.pem");
    const { stdout } = await world.start([], ["sh", "-c", 'cat "$NODE_EXTRA_CA_CERTS"'], {});
    expect(stdout).toContain(readFileSync(roots, "utf8").trim());
  });

  it("reaches APIs through the proxy of a company, whose password the program does not see", async () => {
    const proxy = await FakeWebProxy.start({ credentials: "ada:s3cret-of-proxy" });
    const { port } = new URL(world.url);
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: "direct.corp.test" };
    const { stdout } = await world.run([], { ...env, ASKED: `https://api.corp.test:${port}/v1/user` });
    expect(stdout).toMatch(/^HTTP\/1.1 200[\s\S]*the API got the key/);
    expect(proxy.asked).toEqual([`CONNECT api.corp.test:${port}`]);
    const seen = await world.run([], { ...env, PRINTS_ENVIRONMENT: "1" });
    expect(seen.stdout).not.toMatch(/s3cret|direct\.corp/);
    await proxy.stop();
  });

  it("refuses a proxy that it cannot use, and shows no password", async () => {
    const { code, stderr } = await world.run([], { https_proxy: "socks5://ada:s3cret@proxy.corp:1080" });
    expect([code, stderr]).toEqual([2, expect.stringContaining("HTTPS_PROXY: must be http://")]);
    expect(stderr).not.toContain("s3cret");
  });

  it("names the user who must act, with the link", async () => {
    const { stderr } = await world.run(["--user", "bob"], { ASKED: `${world.url}/user` });
    expect(stderr).toContain("nexusd: acme/bob needs you: open http");
  });

  it("says that it refused a tunnel, and what allows it", async () => {
    const { stderr } = await world.run(["--network", "providers"], { ASKED: "https://other.example/" });
    expect(stderr).toContain(
      "nexusd: other.example is refused: no provider has it. --network other.example allows it\n",
    );
  });

  it("says what to do about a provider that it cannot use", async () => {
    const unknown = await world.run(["--allow", "nobody"], {});
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("provider list")]);
    const misspelt = await world.run(["--allow", "acem"], {});
    expect([misspelt.code, misspelt.stderr]).toEqual([2, expect.stringContaining("did you mean acme")]);
    const toAdd = await world.run(["--allow", "gihub"], {});
    expect([toAdd.code, toAdd.stderr]).toEqual([2, expect.stringContaining("provider add github")]);
  });

  it("with --isolate leads nowhere but to the proxy", async (context) => {
    needs(context, "bubblewrap");
    const { dataDir } = world.daemon.place.config;
    const abstract = createServer();
    const name = `\0nexusd-test-${process.pid}`;
    await once(abstract.listen({ path: name }) as Server, "listening");
    const pathname = join(temporaryFolder(), "other.sock");
    const other = createServer().listen(pathname);
    const datagrams = createSocket("udp4");
    let arrived = 0;
    datagrams.on("message", () => arrived++).bind(0, "127.0.0.1");
    await once(datagrams, "listening");
    const http = Number(new URL(world.daemon.place.httpUrl).port);
    const tried = JSON.stringify({
      tcp: [
        ["127.0.0.1", http],
        ["::1", http],
        ["169.254.169.254", 80],
        ["fd00:ec2::254", 80],
        ["192.0.2.1", 443],
        ["2001:db8::1", 443],
      ],
      udp: datagrams.address().port,
      sockets: [world.daemon.place.socket, name, pathname],
      files: [dataDir],
      pids: [process.pid],
    });
    const passed = ["--env", "ASKED", "--env", "TRIED"];
    const asked = await world.run(["--isolate", ...passed, "--share", import.meta.dirname], {
      ASKED: `${world.url}/user`,
      TRIED: tried,
    });
    expect(asked.stderr).toBe("");
    expect(asked.stdout).toMatch(/the API got the key[\s\S]*\[\]$/);
    expect(arrived).toBe(0);
    // The same ways, not isolated: the trial can fail.
    const open = await world.run([], { TRIED: tried });
    await expect.poll(() => arrived).toBe(1);
    for (const each of [abstract, other, datagrams]) each.close();
    expect(JSON.parse(open.stdout)).toEqual(
      expect.arrayContaining([
        ...[`127.0.0.1:${http}`, world.daemon.place.socket, name, pathname, dataDir],
        `/proc/${process.pid}`,
      ]),
    );
  });

  it("with --isolate hides the data folder also where the daemon is reached by TCP", async (context) => {
    needs(context, "bubblewrap");
    const { httpUrl, apiKey, config } = world.daemon.place;
    const tried = JSON.stringify({
      tcp: [],
      sockets: [world.daemon.place.socket],
      files: [config.dataDir],
      pids: [],
    });
    const key = join(world.work, "key");
    writeFileSync(key, apiKey, { mode: 0o600 });
    const shared = ["--share", import.meta.dirname, "--share", dirname(config.dataDir)];
    const flags = ["--isolate", "--env", "TRIED", ...shared];
    // The shared folder holds the home of this world, and would be refused.
    const env = { TRIED: tried, NEXUS_ADDRESS: httpUrl, NEXUS_API_KEY_FILE: key, HOME: "/nonexistent" };
    expect(await world.run(flags, env)).toMatchObject({ stdout: "[]", code: 0 });
  });

  it("with --isolate runs from an installation that is reached by links, as npm link makes them", async (context) => {
    needs(context, "bubblewrap");
    const prefix = temporaryFolder();
    for (const folder of ["bin", "lib/node_modules"]) mkdirSync(join(prefix, folder), { recursive: true });
    symlinkSync(root, join(prefix, "lib/node_modules/nexusd"));
    symlinkSync("../lib/node_modules/nexusd/dist/main.js", join(prefix, "bin/nexusd"));
    const ended = await world.start(["--isolate"], ["echo", "ran"], {}, join(prefix, "bin/nexusd"));
    expect(ended).toEqual({ stdout: "ran\n", stderr: "", code: 0 });
  });

  it("with --isolate serves a program that knows nothing of the proxy", async (context) => {
    needs(context, "bubblewrap");
    const script = `const session = require("node:http2").connect("${world.url}");
      const request = session.request({ ":path": "/v1/user" });
      request.setEncoding("utf8").on("data", (text) => process.stdout.write(text)).on("end", () => session.close());`;
    const { stdout, stderr } = await world.start(["--isolate"], [process.execPath, "-e", script], {});
    expect([stdout.trim(), stderr]).toEqual(["the API got the key", ""]);
  });

  it("with --isolate passes signals on to a program that no terminal reaches", async (context) => {
    needs(context, "bubblewrap");
    const script = 'trap "echo told; exit 7" TERM; echo ready; while :; do sleep 0.1; done';
    const child = world.spawned(["--isolate"], ["sh", "-c", script], {});
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    const [[said], [code]] = await Promise.all([once(child.stdout, "data"), once(child, "close")]);
    expect([String(said), code]).toEqual(["told\n", 7]);
  });

  it("with --isolate passes on the variables that are named, and no others", async (context) => {
    needs(context, "bubblewrap");
    const env = { PRINTS_ENVIRONMENT: "1", OTHERS_TOKEN: "of-others", TERM: "vt100", NEXUS_API_KEY: "own" };
    const { stdout } = await world.run(
      ["--isolate", "--env", "PRINTS_ENVIRONMENT", "--share", import.meta.dirname],
      env,
    );
    expect(JSON.parse(stdout)).toMatchObject({ PRINTS_ENVIRONMENT: "1", TERM: "vt100", HOME: world.home });
    expect(stdout).not.toMatch(/of-others|NEXUS_/);
  });

  it.each([
    [["--isolate", "--env", "NOWHERE"], "--env NOWHERE: no such variable is set"],
    [["--isolate", "--env", "A=b"], "run --env NAME"],
    [["--isolate", "--env", "NEXUS_API_KEY"], "are not for the program"],
    [["--env", "PATH"], "--env belongs to --isolate"],
  ])("refuses %j", async (flags, why) => {
    const { code, stderr } = await world.run(flags, { NEXUS_API_KEY: "own" });
    expect([code, stderr]).toEqual([2, expect.stringContaining(why)]);
  });

  it("does not start a program that it cannot isolate", async () => {
    const nowhere = temporaryFolder();
    const { code, stdout, stderr } = await world.run(["--isolate"], {
      PATH: nowhere,
      PRINTS_ENVIRONMENT: "1",
    });
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("install bubblewrap");
  });
});
