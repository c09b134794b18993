// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of manifests look like this
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import type { Daemon } from "../../src/daemon/daemon.js";
import { fakeShell, jsonLines } from "../cli/fake_shell.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perSuite } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { Place } from "./harness.js";

const secret = "s3cret-of-github";
const head = `providers:
  - name: github
    client_id: id
    client_secret: \${GITHUB_CLIENT_SECRET}
    auth_url: https://github.com/a
    token_url: https://github.com/t
`;
const manifest = `${head}    scopes: [repo, user]
    auth_header: Basic
    params: {allow_signup: "false", skip_scope_on_auth: true}
    description: all of $\{GITHUB_CLIENT_SECRET} and 5$$
  - name: weather
    auth_type: api_key
    params: {auth_strategy: {type: query_param, config: {param_name: key}}}
`;

describe("nexusd manifest", () => {
  const place = perSuite(() => Place.make());
  let daemon: Daemon;
  let folder: string;
  let file: string;
  /** Everything that any command wrote. */
  let written = "";

  beforeAll(async () => {
    daemon = await place.start(new ManualClock(Date.now()));
    folder = temporaryFolder();
    file = join(folder, "nexus-providers.yaml");
  });
  afterAll(async () => {
    await daemon.stop();
    expect(written).not.toContain(secret);
  });
  beforeEach(async () => {
    const { providers } = await place.clients().providers.listProviders({});
    for (const { id } of providers) await place.clients().providers.deleteProvider({ id });
    writeFileSync(file, manifest);
  });

  type Given = Parameters<typeof fakeShell>[0];
  const nexusd = async (args: string[], given: Given = {}) => {
    const env = { NEXUS_DATA_DIR: place.config.dataDir, GITHUB_CLIENT_SECRET: secret, ...given?.env };
    const shell = fakeShell({ ...given, env });
    const code = await run(["manifest", ...args], shell);
    written += shell.out() + shell.err();
    return { code, out: shell.out(), err: shell.err(), questions: shell.questions };
  };
  const apply = (...args: string[]) => nexusd(["apply", "-f", file, "--yes", ...args]);
  const plan = (...args: string[]) => nexusd(["plan", "-f", file, ...args]);
  const provider = async (name: string) =>
    (await place.clients().providers.getProvider({ key: { case: "name", value: name } })).provider;

  it("plans what apply then does, and after that plans nothing", async () => {
    const planned = await plan();
    expect(planned.code).toBe(0);
    expect(planned.out).toContain('+ github\n    auth_type: "oauth2"\n');
    expect(planned.out).toContain('    description: "all of ******** and 5$"\n');
    expect(planned.out).toContain('    client_secret: "********"\n');
    expect(planned.out).toContain('+ weather\n    auth_type: "api_key"\n');
    expect(planned.out).toContain("2 to create, 0 to update, 0 to delete, 0 unchanged\n");
    await expect(provider("github")).rejects.toThrow();

    expect(await apply()).toMatchObject({ code: 0, out: expect.stringContaining("applied\n") });
    expect(await provider("github")).toMatchObject({
      clientId: "id",
      clientSecretSet: true,
      tokenEndpointAuthMethod: 2,
      scopes: ["repo", "user"],
      authorizationParams: { allow_signup: "false" },
      oauth2Options: { skipScopeOnAuth: true },
      description: `all of ${secret} and 5$`,
    });
    expect((await provider("weather"))?.strategy?.kind).toMatchObject({
      case: "queryParam",
      value: { paramName: "key" },
    });
    expect((await plan()).out).toBe("0 to create, 0 to update, 0 to delete, 2 unchanged\n");
    expect(await apply()).toMatchObject({ code: 0 });
  });

  it("prints the warnings of discovery, and applies all the same", async () => {
    const dead = "http://127.0.0.1:9";
    writeFileSync(
      file,
      `providers:\n  - {name: dead, client_id: id, client_secret: x, issuer: "${dead}", enable_discovery: true}\n`,
    );
    const { code, out, err } = await apply();
    expect([code, out]).toEqual([0, expect.stringContaining("applied\n")]);
    expect(err).toBe(
      `warning: dead: ${dead}/.well-known/openid-configuration could not be fetched: 127.0.0.1 refuses the connection: check the port, and that the provider is up (ECONNREFUSED)\n`,
    );
    expect(await provider("dead")).toMatchObject({ enableDiscovery: true });
  });

  it("shows an update field by field, a field that was removed too", async () => {
    await apply();
    writeFileSync(
      file,
      manifest
        .replace("    scopes: [repo, user]\n", "    scopes: [repo]\n")
        .replace("    auth_header: Basic\n", ""),
    );
    expect((await plan()).out).toBe(
      `~ github
    token_endpoint_auth_method: "client_secret_basic" -> "client_secret_post"
    scopes: ["repo","user"] -> ["repo"]
0 to create, 1 to update, 0 to delete, 1 unchanged
`,
    );
    await apply();
    expect(await provider("github")).toMatchObject({
      scopes: ["repo"],
      tokenEndpointAuthMethod: 1,
      clientSecretSet: true,
    });
    writeFileSync(file, manifest.replace("    scopes: [repo, user]\n", ""));
    expect((await plan()).out).toContain('    scopes: ["repo"] -> (not set)\n');
  });

  it("answers drift by the exit code: 0 none, 2 some, 1 every error", async () => {
    const exits = async (...args: string[]) => (await plan("--detailed-exitcode", ...args)).code;
    expect(await exits()).toBe(2);
    await apply();
    expect(await exits()).toBe(0);
    await place.clients().providers.createProvider({ provider: { name: "other", authType: 2 } });
    expect(await exits()).toBe(0);
    expect(await exits("--prune")).toBe(2);
    expect(await exits("--nonsense")).toBe(1);
    expect(await exits("--address", "nonsense")).toBe(1);
    expect(await exits("--address", `unix:${folder}/nobody.sock`)).toBe(1);
    expect(await exits("-f", join(folder, "missing.yaml"))).toBe(1);
    writeFileSync(file, "providers: [{}]");
    expect(await exits()).toBe(1);
    expect((await plan()).code).toBe(1);
    expect((await plan("--nonsense")).code).toBe(2);
  });

  it("names unmanaged providers, and deletes them only with --prune", async () => {
    await apply();
    writeFileSync(file, head);
    expect((await apply()).out).toContain("! weather  (in the daemon and not in the manifest");
    expect(await provider("weather")).toBeDefined();
    writeFileSync(file, `prune: true\n${head}`);
    await apply();
    expect(await provider("weather")).toBeDefined();
    const pruned = await apply("--prune");
    expect(pruned.out).toContain("- weather");
    expect(pruned.out).toContain("0 to create, 0 to update, 1 to delete, 1 unchanged\n");
    await expect(provider("weather")).rejects.toThrow();
  });

  it("asks a person, and changes nothing where nobody can be asked", async () => {
    expect(await nexusd(["apply", "-f", file])).toMatchObject({
      code: 2,
      err: expect.stringContaining("use --yes"),
    });
    const refused = await nexusd(["apply", "-f", file], { answers: ["n"] });
    expect(refused).toMatchObject({ code: 1, err: "nexusd: nothing was changed\n" });
    await expect(provider("github")).rejects.toThrow();
    const agreed = await nexusd(["apply", "-f", file], { answers: ["yes"] });
    expect(agreed).toMatchObject({ code: 0, questions: [{ question: "Apply this plan? [y/N] " }] });
    // Without a change there is nothing to ask.
    expect(await nexusd(["apply", "-f", file])).toMatchObject({ code: 0 });
  });

  it("sends a secret when none is stored and with --rotate-secrets, and masks it", async () => {
    writeFileSync(file, head);
    await apply();
    const another = { env: { GITHUB_CLIENT_SECRET: `another-${secret}` } };
    expect((await nexusd(["plan", "-f", file], another)).out).toContain("1 unchanged");
    const before = (await provider("github"))?.etag;
    const rotated = await apply("--rotate-secrets");
    expect(rotated.out).toContain('    client_secret: "********" -> "********"\n');
    expect((await provider("github"))?.etag).not.toBe(before);
  });

  it("says where the manifest is broken, and changes nothing", async () => {
    writeFileSync(file, `${manifest}    catgory: x\n  - name: third\n    auth_type: \${UNSET}\n`);
    const { code, err } = await apply();
    expect(code).toBe(1);
    expect(err).toContain("nexusd: the manifest cannot be used\n");
    expect(err).toContain(`  ${file}:14:5: catgory: is not a key; did you mean category?`);
    expect(err).toContain(`  ${file}:16:16: auth_type: the variable UNSET is not set\n`);
    expect((await place.clients().providers.listProviders({})).providers).toEqual([]);
  });

  it("says what was done before the daemon refused", async () => {
    const { code, err } = await (async () => {
      const other = place.clients().providers;
      const shell = fakeShell({
        env: { NEXUS_DATA_DIR: place.config.dataDir, GITHUB_CLIENT_SECRET: secret },
        answers: [],
      });
      // Somebody takes the second name while a person reads the plan.
      shell.stdin.ask = async () => {
        await other.createProvider({ provider: { name: "weather", authType: 2 } });
        return "y";
      };
      const exit = await run(["manifest", "apply", "-f", file], shell);
      return { code: exit, err: shell.err() };
    })();
    expect(code).toBe(1);
    expect(err).toContain("cannot create the provider weather");
    expect(err).toContain("done before that, and not undone: create github");
  });

  it("exports what plans clean, without secrets, and writes over nothing", async () => {
    await apply();
    await place.clients().providers.createProvider({
      provider: {
        name: "odd",
        authType: 6,
        description: "$5 for ${NOTHING}: # no",
        strategy: { kind: { case: "hmacPayload", value: { headerName: "X-S", algo: "sha512" } } },
        credentialSchema: {
          type: "object",
          properties: { api_secret: { type: "string" } },
          required: ["api_secret"],
        },
      },
    });
    const { out } = await nexusd(["export"]);
    expect(out).toContain("client_secret: ${GITHUB_CLIENT_SECRET}\n");
    const exported = join(folder, "exported.yaml");
    // It holds the secret that somebody wrote into a description.
    writeFileSync(exported, out);
    written = written.replaceAll(out, "");
    const clean = await nexusd(["plan", "-f", exported, "--prune", "--detailed-exitcode"]);
    expect(clean).toMatchObject({ code: 0, out: "0 to create, 0 to update, 0 to delete, 3 unchanged\n" });

    const refused = await nexusd(["export", "-f", exported]);
    expect(refused).toMatchObject({
      code: 1,
      err: `nexusd: ${exported} exists: give --force to write over it\n`,
    });
    const forced = await nexusd(["export", "-f", exported, "--force"]);
    expect(forced.err).toBe(`wrote 3 providers to ${exported}; it wants GITHUB_CLIENT_SECRET\n`);
    expect(readFileSync(exported, "utf8")).toBe(out);
  });

  it("fills a profile from its template", async () => {
    const text = head.replace(/ {4}auth_url.*\n {4}token_url.*\n/, "    template: github\n");
    writeFileSync(file, `${text}    params: {login: ada}\n`);
    expect(await apply()).toMatchObject({ code: 0, err: "" });
    expect(await provider("github")).toMatchObject({
      authUrl: "https://github.com/login/oauth/authorize",
      authorizationParams: { login: "ada" },
    });
    expect((await plan("--detailed-exitcode")).code).toBe(0);
    writeFileSync(file, text.replace("template: github", "template: no-such-thing"));
    expect((await plan()).err).toContain(`${file}:5:15: template: is not in the catalogue\n`);
  });

  it("speaks JSON", async () => {
    const planned = await plan("--json");
    expect(jsonLines(planned.out)).toMatchObject([
      { drift: true, unchanged: 0, changes: [{ action: "create", name: "github" }, { action: "create" }] },
    ]);
    const [answer] = jsonLines((await apply("--json")).out);
    expect(answer).toMatchObject({ applied: true });
    const [none] = jsonLines((await apply("--json")).out);
    expect(none).toEqual({ applied: true, changes: [], drift: false, unchanged: 2 });
  });

  it("reads standard input, and looks for nexus-providers.yaml by itself", async () => {
    const piped = await nexusd(["plan", "-f", "-"], { piped: head });
    expect(piped.out).toContain("1 to create");
    expect(existsSync("nexus-providers.yaml")).toBe(false);
    expect((await nexusd(["plan"])).err).toBe(
      "nexusd: --file: nexus-providers.yaml does not exist\ncreate one from the providers of the daemon: nexusd manifest export --file nexus-providers.yaml\n",
    );
  });
});
