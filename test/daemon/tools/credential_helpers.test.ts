import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { GitServer } from "../../fakes/git_server.js";
import { Registry } from "../../fakes/registry.js";
import { needs } from "../../needs.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { type Ended, ToolWorld } from "./tool_world.js";

describe("docker", () => {
  const token = "access-1-secret";

  describe("nexusd docker-credential", () => {
    let world: ToolWorld;
    beforeAll(async () => {
      world = await ToolWorld.make();
      await world.connect("github", { api_base_url: "https://api.github.com" });
      await world.import(
        { name: "harbor", authType: AuthType.BASIC_AUTH, apiBaseUrl: "https://harbor.example.com/api/v2.0" },
        { username: "robot$ci", password: "harbor-secret" },
      );
      await world.scripted.register({ name: "slack", api_base_url: "https://slack.example.com" });
    });
    afterAll(() => world.close());

    const ask = (args: string[], piped = ""): Promise<Ended> =>
      world.command(["docker-credential", ...args], piped);

    it.each([
      ["ghcr.io", "ghcr.io", "oauth2"],
      ["https://ghcr.io/v2/\n", "ghcr.io", "oauth2"],
      ["europe-docker.pkg.dev", "europe-docker.pkg.dev", "oauth2accesstoken"],
      ["eu.gcr.io", "eu.gcr.io", "oauth2accesstoken"],
      ["acme.azurecr.io", "acme.azurecr.io", "00000000-0000-0000-0000-000000000000"],
      ["localhost:5000", "localhost:5000", "oauth2"],
      ["http://localhost:5000", "localhost:5000", "oauth2"],
    ])("answers the credential of %j", async (serverUrl, host, username) => {
      const { code, stdout, stderr } = await ask(["github", "--host", host, "get"], serverUrl);
      expect([code, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toEqual({ ServerURL: serverUrl.trim(), Username: username, Secret: token });
    });

    it("has the user name and password of basic_auth, for the hosts of the provider's URLs", async () => {
      expect(JSON.parse((await ask(["harbor", "get"], "harbor.example.com")).stdout)).toEqual({
        ServerURL: "harbor.example.com",
        Username: "robot$ci",
        Secret: "harbor-secret",
      });
    });

    it.each([
      "evil.example.com",
      "http://harbor.example.com",
      "harbor.example.com:8443",
      "",
      "a b",
      "harbor.example.com@evil",
    ])("says that there is none for %j, in the words that docker looks for", async (serverUrl) => {
      const answer = { code: 1, stdout: "credentials not found in native keychain\n", stderr: "" };
      expect(await ask(["harbor", "get"], serverUrl)).toEqual(answer);
    });

    it("lists each registry with its user name, and no secret", async () => {
      const { stdout } = await ask(["github", "--host", "ghcr.io", "--host", "eu.gcr.io", "list"]);
      expect(JSON.parse(stdout)).toEqual({ "ghcr.io": "oauth2", "eu.gcr.io": "oauth2accesstoken" });
      expect(JSON.parse((await ask(["harbor", "list"])).stdout)).toEqual({
        "harbor.example.com": "robot$ci",
      });
    });

    it("stores and erases nothing", async () => {
      const stored = JSON.stringify({ ServerURL: "ghcr.io", Username: "u", Secret: "other" });
      expect(await ask(["github", "--host", "ghcr.io", "store"], stored)).toEqual({
        code: 0,
        stdout: "",
        stderr: "",
      });
      expect(await ask(["github", "--host", "ghcr.io", "erase"], "ghcr.io")).toEqual({
        code: 0,
        stdout: "",
        stderr: "",
      });
      expect((await ask(["github", "--host", "ghcr.io", "get"], "ghcr.io")).stdout).toContain(token);
    });

    it.each(["https://ghcr.io", "ghcr.io/v2", "", "u@ghcr.io"])("takes no --host %j", async (host) => {
      const { code, stderr } = await ask(["github", "--host", host, "get"], "ghcr.io");
      expect([code, stderr]).toEqual([2, expect.stringContaining("must be a host alone")]);
    });

    it("says on standard output, where docker reads it, what is wrong", async () => {
      const consent = await ask(["slack", "get"], "slack.example.com");
      expect([consent.code, consent.stderr]).toEqual([1, ""]);
      expect(consent.stdout).toContain("connect an account: nexusd connect slack");
      expect((await ask(["slac", "get"], "x")).stdout).toContain("did you mean slack?");
      expect(await ask(["github", "login"])).toMatchObject({
        code: 1,
        stdout: 'Unknown credential action "login"\n',
      });
    });

    it("lets docker read a registry, by the script of docs/tools.md", async (context) => {
      needs(context, "docker");
      const registry = await Registry.start(`oauth2:${token}`);
      const [script = ""] =
        /^#!\/bin\/sh\nexec nexusd docker-credential .*$/m.exec(readFileSync("docs/tools.md", "utf8")) ?? [];
      world.install("docker-credential-nexus-github", script.replaceAll("ghcr.io", registry.host));
      const config = join(world.home, ".docker");
      mkdirSync(config);
      writeFileSync(
        join(config, "config.json"),
        JSON.stringify({ credHelpers: { [registry.host]: "nexus-github" } }),
      );
      const image = `${registry.host}/team/app:1`;
      const { code, stderr, stdout } = await world.run("docker", [
        "manifest",
        "inspect",
        "--insecure",
        image,
      ]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 2 });
      expect(registry.logins).toContain(`oauth2:${token}`);
      await registry.stop();
    });
  });
});

describe("git", () => {
  const first = "access-1-secret";

  describe("nexusd git-credential", () => {
    let world: ToolWorld;
    let server: GitServer;
    beforeEach(async () => {
      world = await ToolWorld.make();
      const folder = temporaryFolder();
      server = await GitServer.start(folder);
      server.accepts = (_username, password) => password === first;
      await git("init", "--quiet", "--bare", join(folder, "repo.git"));
    });
    afterEach(async () => {
      await server.stop();
      await world.close();
    });

    const run = (args: string[], cwd = world.home): Promise<Ended> =>
      world.run("git", args, {
        cwd,
        env: { GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0", GIT_ASKPASS: "", LC_ALL: "C" },
      });
    const git = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await run(args);
      if (code !== 0) throw new Error(stderr);
      return stdout;
    };
    const helper = (command: string, url?: string): Promise<string> =>
      git("config", "--global", `credential.${url === undefined ? "" : `${url}.`}helper`, command);
    const fetch = (from = server): Promise<Ended> => run(["ls-remote", `${from.url}/repo.git`]);
    const ask = (args: string[], lines: string[]): Promise<Ended> =>
      world.command(["git-credential", ...args], `${lines.join("\n")}\n`);
    const site = (): string[] => ["protocol=http", `host=${new URL(server.url).host}`];

    it("lets git clone and push", async () => {
      await world.connect("github", { api_base_url: server.url });
      const [line = ""] = /^git config .*$/m.exec(readFileSync("docs/tools.md", "utf8")) ?? [];
      await world.run("sh", ["-c", line.replace("https://github.com", server.url)]);
      const clone = join(world.home, "clone");
      await git("clone", "--quiet", `${server.url}/repo.git`, clone);
      const who = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"];
      await git("-C", clone, ...who, "commit", "--quiet", "--allow-empty", "-m", "Begin");
      await git("-C", clone, "push", "--quiet", "origin", "HEAD:refs/heads/main");
      expect(await git("ls-remote", `${server.url}/repo.git`)).toContain("refs/heads/main");
      expect(new Set(server.logins)).toEqual(new Set([undefined, `oauth2:${first}`]));
    });

    it("finds the provider whose URLs lead to the server, and gives no other server anything", async () => {
      await world.connect("github", { api_base_url: server.url });
      await helper("!nexusd git-credential");
      expect((await fetch()).code).toBe(0);
      const other = await GitServer.start(world.home);
      expect((await fetch(other)).code).toBe(128);
      // It was named for all servers, as nobody should.
      await git("config", "--global", "credential.helper", "!nexusd git-credential github");
      expect((await fetch()).code).toBe(0);
      expect((await fetch(other)).code).toBe(128);
      expect(new Set(other.logins)).toEqual(new Set([undefined]));
      await other.stop();
    });

    it("gives it to the servers that are named", async () => {
      await world.connect("github", { api_base_url: "https://api.example.com" });
      expect((await ask(["github", "get"], site())).stdout).toBe("");
      const { stdout } = await ask(["--host", new URL(server.url).host, "github", "get"], site());
      expect(stdout).toMatch(
        new RegExp(`^username=oauth2\npassword=${first}\npassword_expiry_utc=\\d{10}\n$`),
      );
      const bitbucket = ["--host", "bitbucket.org", "github", "get"];
      const answered = await ask(bitbucket, ["protocol=https", "host=bitbucket.org"]);
      expect(answered.stdout).toContain("username=x-token-auth\n");
      expect((await ask(bitbucket, site())).stdout).toBe("");
      expect((await ask(bitbucket, ["protocol=https", "host=bitbucket.org:8443"])).stdout).toBe("");
      for (const protocol of ["http", "ftp", ""]) {
        expect((await ask(bitbucket, [`protocol=${protocol}`, "host=bitbucket.org"])).stdout).toBe("");
      }
      // What a parser of URLs makes bitbucket.org of, and git or its transport may not.
      for (const host of [
        "x@bitbucket.org/",
        "bitbucket.org.",
        "bitbucket.org\\",
        "bit\tbucket.org",
        "bit\rbucket.org",
        "%62itbucket.org",
        "bitbucket.org/",
      ]) {
        expect([host, (await ask(bitbucket, ["protocol=https", `host=${host}`])).stdout]).toEqual([host, ""]);
      }
      for (const host of ["BitBucket.org", "bitbucket.org:443"]) {
        const { stdout: same } = await ask(bitbucket, ["protocol=https", `host=${host}`]);
        expect(same).toContain("username=x-token-auth\n");
      }
    });

    it("takes the user name of the URL beside a token, and has the password of its own user alone", async () => {
      await world.connect("github", { api_base_url: server.url });
      expect((await ask(["github", "get"], [...site(), "username=ada"])).stdout).toContain("username=ada\n");
      expect((await ask(["--username", "bob", "github", "get"], site())).stdout).toContain("username=bob\n");
      const apiBaseUrl = "https://git.example.com/api";
      await world.import(
        { name: "gitea", authType: AuthType.BASIC_AUTH, apiBaseUrl },
        { username: "carl", password: "p1" },
      );
      const gitea = ["protocol=https", "host=git.example.com"];
      expect((await ask(["get"], gitea)).stdout).toBe("username=carl\npassword=p1\n");
      expect((await ask(["get"], [...gitea, "username=carl"])).stdout).toBe("username=carl\npassword=p1\n");
      expect((await ask(["get"], [...gitea, "username=dora"])).stdout).toBe("");
    });

    it("refreshes a credential that the server refused, and no other", async () => {
      await world.connect("github", { api_base_url: server.url });
      await helper("!nexusd git-credential github", server.url);
      await ask(["github", "erase"], [...site(), "username=oauth2", "password=access-0-secret"]);
      await ask(["github", "erase"], site());
      expect(world.scripted.tokenRequests).toHaveLength(1);

      server.accepts = (_username, password) => password === "access-2-secret";
      const refused = await fetch();
      expect([refused.code, refused.stderr]).toEqual([
        128,
        expect.stringContaining("refused the credential, which was refreshed: try again"),
      ]);
      expect((await fetch()).code).toBe(0);
      expect(world.scripted.tokenRequests).toHaveLength(2);
    });

    it("tells git to ask nobody while a person must consent, and names the command that makes the link", async () => {
      await world.scripted.register({ name: "github", api_base_url: server.url });
      await helper("!nexusd git-credential github", server.url);
      const { code, stderr } = await fetch();
      expect(code).toBe(128);
      expect(stderr).toContain("you have no connection to github\nconnect an account: nexusd connect github");
      expect(stderr).toContain("told us to quit");
    });

    it("lets git go on to the next helper when it cannot answer", async () => {
      await helper("!nexusd git-credential github", server.url);
      await git(
        "config",
        "--global",
        "--add",
        `credential.${server.url}.helper`,
        `!printf 'username=u\\npassword=${first}\\n'; :`,
      );
      const { code, stderr } = await fetch();
      expect([code, stderr]).toEqual([0, expect.stringContaining("cannot find the provider github")]);
    });

    it("stores nothing, ignores an operation that it does not know, and refuses none", async () => {
      await world.connect("github", { api_base_url: server.url });
      for (const operation of ["store", "capability"]) {
        const lines = [...site(), "username=u", "password=of-another"];
        expect(await ask(["github", operation], lines)).toEqual({ code: 0, stdout: "", stderr: "" });
      }
      expect(await ask(["github"], site())).toMatchObject({ code: 2, stdout: "" });
      expect(await ask(["--host", "github.com", "get"], site())).toMatchObject({ code: 2, stdout: "" });
      expect((await ask(["github", "get"], site())).stdout).toContain(first);
    });

    it("does not choose between two providers of one server", async () => {
      await world.connect("github", { api_base_url: server.url });
      await world.connect("github-admin", { api_base_url: server.url });
      const { code, stdout, stderr } = await ask(["get"], site());
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain("is of the providers github, github-admin: name one in the configuration");
    });
  });
});
