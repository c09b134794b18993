import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { type FakeShell, fakeShell, jsonLines, startMs } from "../cli/fake_shell.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perSuite } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { TestDaemon } from "./harness.js";
import { registered } from "./requests.js";

const keyForm = /^nxk_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/;

describe("nexusd keys and nexusd policy", () => {
  const folder = temporaryFolder();
  const policyFile = join(folder, "policy.yaml");
  const daemon = perSuite(async () => {
    writeFileSync(policyFile, 'bindings:\n  - principals: ["uid:1000"]\n    role: operator\n');
    const started = await TestDaemon.start({ NEXUS_POLICY_FILE: policyFile }, new ManualClock(startMs));
    await registered(started.clients, { name: "github", authType: AuthType.API_KEY });
    return started;
  });

  const nexusd = async (...args: string[]): Promise<FakeShell & { code: number }> => {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: daemon.place.config.dataDir } });
    return Object.assign(shell, { code: await run(args, shell) });
  };

  it("creates a key and prints it once, alone on standard output", async () => {
    const made = await nexusd(
      "keys",
      "create",
      "ci",
      "--user",
      "ada",
      "--provider",
      "github",
      "--expires",
      "90d",
    );
    expect(made.err()).toContain("key:ci may act as agent until 2027-02-22T12:00:00Z");
    expect(made.code).toBe(0);
    expect(made.out().trim()).toMatch(keyForm);
    const listed = await nexusd("keys", "list");
    expect(listed.out()).toMatch(
      /ci +[0-9a-f]{16} +agent +users ada; providers github +now +owner +in 90d +never/,
    );
    expect(listed.out()).not.toContain(made.out().trim().slice(-20));
  });

  it("writes a key into a new file that its owner alone may read, and does not print it", async () => {
    const file = join(folder, "ops.key");
    const made = await nexusd("keys", "create", "ops", "--role", "operator", "--output", file, "--json");
    expect(made.code).toBe(0);
    const key = readFileSync(file, "utf8").trim();
    expect(key).toMatch(keyForm);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(made.out() + made.err()).not.toContain(key);
    expect(jsonLines(made.out())[0]).toMatchObject({ api_key: { name: "ops", role: "ROLE_OPERATOR" } });
    const again = await nexusd("keys", "create", "ops-2", "--role", "operator", "--output", file);
    expect(again.code).toBe(2);
    expect(again.err()).toContain(
      "cannot be made: it exists already, and is not written over: name another file, or remove it",
    );
    const missing = join(folder, "no", "ops.key");
    const nowhere = await nexusd("keys", "create", "ops-2", "--user", "*", "--output", missing);
    expect(nowhere.err()).toContain(`cannot be made: the folder ${join(folder, "no")} does not exist`);
    expect((await nexusd("keys", "list", "--json")).out()).not.toContain("ops-2");
  });

  it("leaves no file behind when no key is made", async () => {
    const file = join(folder, "none.key");
    const made = await nexusd("keys", "create", "ci", "--user", "*", "--output", file);
    expect(made.code).toBe(1);
    expect(() => statSync(file)).toThrow("ENOENT");
    const untimely = await nexusd("keys", "create", "late", "--user", "*", "--expires", "yesterday");
    expect([untimely.code, untimely.err()]).toEqual([2, expect.stringContaining("is not a time: write 90d")]);
    const unrestricted = await nexusd("keys", "create", "unconfined", "--output", file);
    expect([unrestricted.code, unrestricted.err()]).toEqual([
      2,
      "nexusd: an agent needs a restriction: give --user, --provider, or --connection; --user '*' allows every user\n",
    ]);
    expect(() => statSync(file)).toThrow("ENOENT");
  });

  it("revokes a key by its name, and lists it with --all alone", async () => {
    await nexusd("keys", "create", "gone", "--user", "*");
    expect((await nexusd("keys", "revoke", "gone", "--yes")).out()).toBe("key:gone is revoked\n");
    expect((await nexusd("keys", "revoke", "never", "--yes")).err()).toMatch(
      /not found\nsee nexusd keys list\n$/,
    );
    expect((await nexusd("keys", "list")).out()).not.toContain("gone");
    expect((await nexusd("keys", "list", "--all")).out()).toMatch(/gone .*now by owner/);
    const missing = await nexusd("keys", "revoke", "nobody", "--yes");
    expect([missing.code, missing.err()]).toEqual([
      1,
      "nexusd: cannot revoke the API key nobody: api key not found\nsee nexusd keys list\n",
    ]);
  });

  it("asks nobody to confirm what would be done to no key", async () => {
    await nexusd("keys", "create", "there", "--user", "ada");
    for (const verb of ["rotate", "revoke"]) {
      const { code, err } = await nexusd("keys", verb, "ther");
      expect([code, err()]).toEqual([1, "nexusd: there is no API key ther\ndid you mean there?\n"]);
      expect((await nexusd("keys", verb, "there")).code).toBe(2);
    }
    expect((await nexusd("keys", "revoke", "nobody")).err()).toContain("see nexusd keys list");
  });

  it("rotates a key, and says how long the old one works", async () => {
    const before = await nexusd("keys", "create", "turned", "--user", "ada", "--expires", "90d");
    const after = await nexusd("keys", "rotate", "turned", "--keep", "24h");
    expect([after.code, after.err()]).toEqual([
      0,
      "key:turned has a new secret, and the old one works until 2026-11-25T12:00:00Z; the key is below, and cannot be shown again\n",
    ]);
    expect(after.out().trim()).toMatch(keyForm);
    expect(after.out()).not.toBe(before.out());
    expect((await nexusd("keys", "rotate", "turned")).code).toBe(2);
    const file = join(folder, "turned.key");
    const atOnce = await nexusd("keys", "rotate", "turned", "--yes", "--output", file);
    expect(atOnce.err()).toContain("and the old one is refused; the key is in");
    expect(readFileSync(file, "utf8").trim()).toMatch(keyForm);
    expect((await nexusd("keys", "list")).out()).toMatch(/turned +[0-9a-f]{16} +agent +users ada/);
    expect((await nexusd("audit", "--type", "api_key.rotated")).out()).toContain("key:turned");
  });

  it("refuses a policy file with names of providers that the daemon does not know", async () => {
    const path = join(folder, "misspelt.yaml");
    writeFileSync(path, "rules:\n  - providers: [nowhere]\n    then: deny\n");
    const checked = await nexusd("policy", "check", path);
    expect(checked.code).toBe(1);
    expect(checked.err()).toContain(`  ${path}:2: providers: there is no provider nowhere`);
  });

  it("explains the daemon's policy, and the line that decides", async () => {
    const asked = await nexusd(
      "policy",
      "explain",
      "--principal",
      "uid:1000",
      "--action",
      "TokenService/GetToken",
    );
    expect(asked.code).toBe(0);
    expect(asked.out()).toBe(
      [
        "denied",
        "principal  uid:1000 (role operator)",
        "action     token.read",
        "rule       line 2: the policy file binds uid:1000: role operator",
        "",
      ].join("\n"),
    );
    const owner = await nexusd("policy", "explain", "--principal", "owner", "--action", "key.manage");
    expect(owner.out()).toMatch(/^allowed\n/);
  });
});

describe("nexusd policy without a daemon", () => {
  const file = join(temporaryFolder(), "policy.yaml");
  const nexusd = async (...args: string[]): Promise<FakeShell & { code: number }> => {
    const shell = fakeShell({ env: {} });
    return Object.assign(shell, { code: await run(["policy", ...args], shell) });
  };

  it("checks a file, and names each error with its line", async () => {
    writeFileSync(file, 'bindings:\n  - principals: ["jwt:*"]\n    role: agent\n    user_ids: [ada]\n');
    expect(await nexusd("check", file)).toMatchObject({ code: 0 });
    writeFileSync(file, "bindings:\n  - principals: [me]\n    role: boss\n");
    const checked = await nexusd("check", file);
    expect(checked.code).toBe(1);
    expect(checked.err()).toBe(
      [
        "nexusd: the policy file cannot be used",
        `  ${file}:2:18: principals[0]: must begin with one of key: cert: jwt: uid: and go on`,
        `  ${file}:3:11: role: must be one of admin, operator, agent`,
        "",
      ].join("\n"),
    );
    expect((await nexusd("check", `${file}.none`)).err()).toContain("cannot be read: there is no such file");
  });

  it("explains what a file would answer", async () => {
    writeFileSync(file, 'bindings:\n  - principals: ["jwt:*"]\n    role: agent\n    user_ids: ["a,user"]\n');
    const ask = (resource: string, ...more: string[]) =>
      nexusd(
        "explain",
        "--policy",
        file,
        "--principal",
        "jwt:x",
        "--action",
        "token.read",
        "--resource",
        resource,
        ...more,
      );
    expect((await ask("user:a,user")).out()).toMatch(/^allowed\n/);
    expect((await ask("user:bob,provider:github")).out()).toMatch(/^denied\n[\s\S]*line 2: /);
    expect((await ask("user:bob", "--exit-code")).code).toBe(1);
    expect((await ask("bob")).code).toBe(2);
    const wrong = await nexusd("explain", "--policy", file, "--principal", "jwt:x", "--action", "fly");
    expect([wrong.code, wrong.err()]).toEqual([2, expect.stringContaining("--action")]);
  });
});
