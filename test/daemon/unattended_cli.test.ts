import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { type FakeShell, fakeShell } from "../cli/fake_shell.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { temporaryFolder } from "../temporary_folder.js";
import { goodTokens, ScriptedWorld } from "./scripted_world.js";

const world = perSuite(() => ScriptedWorld.make());
const folder = temporaryFolder();
const secretFile = join(folder, "secret.txt");
const keyFile = join(folder, "key.pem");
writeFileSync(secretFile, "the secret of the machine\n");
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }));

async function nexusd(...args: string[]): Promise<FakeShell & { code: number }> {
  const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } });
  return Object.assign(shell, { code: await run(args, shell) });
}

it("registers a machine, connects it without a link, and reads its token", async () => {
  const created = await nexusd(
    ...["provider", "add", "billing", "--grant-type", "client_credentials"],
    ...["--token-url", `${world.provider.origin}/token`, "--client-id", "machine"],
    ...["--client-secret-file", secretFile, "--scopes", "invoices:read"],
  );
  expect([created.code, created.err()]).toEqual([0, ""]);
  expect(created.out()).toContain("Next: nexusd connect billing");
  expect(created.out()).not.toContain("redirect URI");

  const connected = await nexusd("connect", "billing", "--user", "ada");
  expect([connected.code, connected.err()]).toEqual([0, ""]);
  expect(connected.out()).toMatch(/^Connected to billing: for ada, scopes invoices:read, expires in /);
  expect(world.tokenRequests.at(-1)?.form.get("scope")).toBe("invoices:read");
  expect((await nexusd("token", "billing/ada")).out()).toContain("access-1-secret");
  expect((await nexusd("provider", "show", "billing")).out()).toMatch(/grant type +client_credentials/);
});

it("registers a client that signs, by its key file", async () => {
  const args = [
    "provider",
    "add",
    "robot",
    "--client-id",
    "r",
    "--token-url",
    `${world.provider.origin}/token`,
  ];
  const key = ["--client-secret-file", keyFile];
  expect((await nexusd(...args, "--grant-type", "jwt_bearer", "--auth-method", "none", ...key)).code).toBe(0);
  expect((await nexusd("connect", "robot", "--user", "ada", "--json")).code).toBe(0);
  expect(world.tokenRequests.at(-1)?.form.get("assertion")).toMatch(/^ey/);

  const add = ["provider", "add", "github-app", "--var", "installation_id=1", "--client-id", "Iv1.0", ...key];
  const added = await nexusd(...add);
  expect([added.code, added.err()]).toEqual([0, ""]);
  expect(added.out()).toContain("Next: nexusd connect github-app");
  expect((await nexusd("provider", "templates", "google-service-account")).out()).toContain("google-service");
});

it("says what is missing, and whose fault a refusal is", async () => {
  const args = ["provider", "add", "machine", "--client-id", "r", "--client-secret-file", secretFile];
  expect((await nexusd(...args, "--grant-type", "client_credentials")).err()).toContain(
    "give --issuer or --token-url",
  );
  world.answerToken = () => json({ error: "invalid_client" }, 401);
  const refused = await nexusd("connect", "billing", "--user", "eve");
  expect(refused.code).not.toBe(0);
  expect(refused.err()).toContain("invalid_client 401");
  world.answerToken = goodTokens();
  expect((await nexusd("connect", "billing", "--user", "eve")).code).toBe(0);
});
