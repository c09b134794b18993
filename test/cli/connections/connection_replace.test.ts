import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import type { ReplaceCredentialRequest } from "../../../src/gen/nexus/v1/connection_pb.js";
import { AuthType, type ProviderSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { connectionId, FakeDaemon } from "../fake_daemon.js";
import { fakeShell, jsonLines } from "../fake_shell.js";

const apiKey = {
  authType: AuthType.API_KEY,
  strategy: { kind: { case: "header", value: { credentialField: "api_key" } } },
} as const;

describe("connection replace", () => {
  const daemon = perTest(() => new FakeDaemon());
  let folder: string;
  beforeEach(async () => {
    folder = temporaryFolder();
    daemon.api.connections = {
      replaceCredential: (request) => ({ connection: { id: request.connectionId, revision: 2n } }),
    };
    await daemon.start();
    daemon.addConnection({});
  });

  const replace = async (
    provider: MessageInitShape<typeof ProviderSchema>,
    given: Parameters<typeof fakeShell>[0],
    ...args: string[]
  ) => {
    daemon.addProvider(provider);
    const shell = fakeShell({ env: daemon.env, ...given });
    const exitCode = await run(["connection", "replace", connectionId, ...args], shell);
    const sent = daemon.got<ReplaceCredentialRequest>("ReplaceCredential").at(-1)?.credentials;
    return { exitCode, sent, shell };
  };

  it("asks a person, without showing what is typed", async () => {
    const { exitCode, sent, shell } = await replace(apiKey, { answers: ["k-2"] });
    expect(exitCode).toBe(0);
    expect(sent).toEqual({ api_key: "k-2" });
    expect(shell.questions).toEqual([{ question: "API key: ", echo: false }]);
    expect(shell.out()).toBe(`${connectionId} holds the new credential, revision 2\n`);
  });

  it("asks for the fields of the profile's own schema", async () => {
    const properties = { api_key: { type: "string", title: "Key" }, note: { type: "string" } };
    const schema = { credentialSchema: { type: "object", properties } };
    const { sent, shell } = await replace({ ...apiKey, ...schema }, { answers: ["k-2", ""] });
    expect(sent).toEqual({ api_key: "k-2" });
    expect(shell.questions.map(({ question }) => question)).toEqual(["Key: ", "note: "]);
  });

  it("takes an empty password for one", async () => {
    const value = { usernameField: "username", passwordField: "password" };
    const basic = {
      authType: AuthType.BASIC_AUTH,
      strategy: { kind: { case: "basicAuth", value } },
    } as const;
    expect((await replace(basic, { answers: ["ada", ""] })).sent).toEqual({ username: "ada", password: "" });
  });

  it("reads a file, and standard input", async () => {
    const file = join(folder, "key.json");
    writeFileSync(file, '{"api_key":"from-file"}\n');
    const { sent, shell } = await replace(apiKey, { answers: [] }, "--file", file, "--json");
    expect(sent).toEqual({ api_key: "from-file" });
    expect(jsonLines(shell.out())).toMatchObject([{ id: connectionId, revision: "2" }]);
    expect((await replace(apiKey, { piped: '{"api_key":"piped"}' })).sent).toEqual({ api_key: "piped" });
    const dash = await replace(apiKey, { piped: '{"api_key":"dash"}' }, "--file", "-");
    expect(dash.sent).toEqual({ api_key: "dash" });
  });

  it("takes the only field as it is, without JSON", async () => {
    for (const piped of ["sk-1\n", "sk-1"])
      expect((await replace(apiKey, { piped })).sent).toEqual({ api_key: "sk-1" });
    daemon.requests.length = 0;
    const two = await replace(apiKey, { piped: "hunter2\nhunter3\n" });
    expect([two.exitCode, two.sent, two.shell.err()]).toEqual([
      2,
      undefined,
      "nexusd: the api_key must be one line\n",
    ]);
  });

  it.each(["[]", "{}", '{"api_key":1}', '{"hunter2"'])("refuses %j, unrepeated", async (piped) => {
    const { exitCode, sent, shell } = await replace(apiKey, { piped });
    expect(exitCode).toBe(2);
    expect(sent).toBeUndefined();
    expect(shell.err()).toMatch(
      /JSON object(?: of strings)?, such as \{"api_key": "\.\.\."\}: standard input /,
    );
    expect(shell.err()).not.toContain("hunter2");
  });

  it("says when a file is missing, and when there is nothing to enter", async () => {
    const missing = await replace(apiKey, {}, "--file", join(folder, "nowhere"));
    expect([missing.exitCode, missing.shell.err()]).toEqual([2, expect.stringContaining("ENOENT")]);
    daemon.providers.length = 0;
    const oauth = await replace({ authType: AuthType.OAUTH2 }, { answers: [] });
    expect([oauth.exitCode, oauth.shell.err()]).toEqual([2, expect.stringContaining("consents again")]);
  });
});
