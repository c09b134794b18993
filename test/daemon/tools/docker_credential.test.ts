import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { Registry } from "../../fakes/registry.js";
import { needs } from "../../needs.js";
import { type Ended, ToolWorld } from "./tool_world.js";

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
    expect(JSON.parse((await ask(["harbor", "list"])).stdout)).toEqual({ "harbor.example.com": "robot$ci" });
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
    expect(consent.stdout).toContain("a person can consent: nexusd connect slack");
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
    const { code, stderr, stdout } = await world.run("docker", ["manifest", "inspect", "--insecure", image]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ schemaVersion: 2 });
    expect(registry.logins).toContain(`oauth2:${token}`);
    await registry.stop();
  });
});
