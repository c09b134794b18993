import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType, GrantType, TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../cli/fake_shell.js";
import { Authority } from "../fakes/certificates.js";
import { PrivateApi } from "../fakes/private_api.js";
import { perSuite } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { failureOf } from "./errors.js";
import { registered, requestOf } from "./requests.js";
import { ScriptedWorld } from "./scripted_world.js";

const folder = temporaryFolder();
const path = join(folder, "corp.pem");
const setting = { NEXUS_API_CA_FILES: `corp=${path}, none=${join(folder, "none.pem")}` };

describe("a provider behind a private authority", () => {
  const api = perSuite(() => PrivateApi.start());
  const world = perSuite(() => ScriptedWorld.make(setting));
  beforeEach(() => writeFileSync(path, api.authority.pem));
  const machine = (name: string, apiCaFile: string): Promise<string> =>
    registered(world.clients, {
      ...{ name, apiCaFile, clientId: "robot", clientSecret: "the secret of a robot", scopes: ["read"] },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
      grantType: GrantType.CLIENT_CREDENTIALS,
      issuer: api.origin,
      enableDiscovery: true,
    });
  const keyed = (name: string, apiCaFile: string): Promise<string> =>
    registered(world.clients, {
      ...{ name, apiCaFile, authType: AuthType.API_KEY, apiBaseUrl: api.origin },
      userInfoEndpoint: "/user",
    });
  const imported = async (providerId: string) => {
    const credentials = { api_key: "key-of-ada" };
    return await world.clients.connections.importConnection({ providerId, userId: "ada", credentials });
  };

  it("is discovered and asked for tokens by its own profile, and by no other of the same issuer", async () => {
    const { connections, tokens } = world.clients;
    const trusted = await connections.requestConnection(requestOf(await machine("robot", "corp")));
    expect(trusted.connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
    const { connectionId } = trusted;
    expect((await tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
    const answered = api.requests.length;
    const other = await failureOf(connections.requestConnection(requestOf(await machine("other", ""))));
    expect(other).toMatchObject({ code: "Unavailable" });
    expect(world.place.logLines.join("")).toContain("the TLS certificate of localhost is not trusted here");
    expect(api.requests).toHaveLength(answered);
    writeFileSync(path, new Authority("Another one").pem);
    expect(await failureOf(tokens.refreshToken({ connectionId }))).toMatchObject({ code: "Unavailable" });
    writeFileSync(path, api.authority.pem);
    world.clock.advance(3_600_000);
    expect((await tokens.refreshToken({ connectionId })).token?.revision).toBe(3n);
  });

  it("tries a key there, and no other profile of the same API does", async () => {
    const { connection } = await imported(await keyed("trusted", "corp"));
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
    expect(await failureOf(imported(await keyed("untrusted", "")))).toMatchObject({ code: "Unavailable" });
  });

  it("gets what nexusd curl sends, if the command has the setting, too", async () => {
    const { dataDir } = world.place.config;
    const curl = async (name: string, env: NodeJS.ProcessEnv) => {
      const shell = fakeShell({ env: { NEXUS_DATA_DIR: dataDir, ...env }, userName: () => "ada" });
      return { code: await run(["curl", name, "/user"], shell), out: shell.out(), err: shell.err() };
    };
    for (const [name, file] of [
      ["curled", "corp"],
      ["plain", ""],
    ] as const)
      await world.clients.connections.importConnection({
        providerId: await registered(world.clients, {
          ...{ name, apiCaFile: file, authType: AuthType.API_KEY, apiBaseUrl: api.origin },
        }),
        ...{ userId: "ada", credentials: { api_key: "key-of-ada" } },
      });
    expect(await curl("curled", setting)).toMatchObject({ code: 0, out: expect.stringContaining('"ada"') });
    expect(await curl("plain", setting)).toMatchObject({ code: 1, out: "" });
    const { code, err } = await curl("curled", {});
    expect([code, err]).toEqual([1, expect.stringContaining("NEXUS_API_CA_FILES names no file corp")]);
  });

  it("keeps the profile's file when another field changes, and never tells what it holds", async () => {
    const id = await keyed("kept", "corp");
    rmSync(path);
    const { providers } = world.clients;
    const updateMask = { paths: ["description"] };
    const { provider } = await providers.updateProvider({ provider: { id, description: "d" }, updateMask });
    expect(provider).toMatchObject({ apiCaFile: "corp", description: "d" });
    expect(JSON.stringify([provider?.apiCaFile, provider?.description])).not.toContain("BEGIN");
    expect(world.place.logLines.join("")).not.toContain(path);
  });

  it.each([
    ["a name that the setting lacks", "other", () => undefined, /NEXUS_API_CA_FILES: there are corp, none/],
    ["a file that is not there", "none", () => undefined, /cannot be read \(ENOENT\)/],
    ["a text", "corp", () => writeFileSync(path, "root:x:0:0"), /is no certificate as PEM/],
    ["a key", "corp", () => writeFileSync(path, "-----BEGIN PRIVATE KEY-----"), /holds a private key/],
  ])("is refused with %s, when it is created and when it is changed", async (_, file, write, why) => {
    const id = await keyed(`plain-${file}-${why.source.length}`, "");
    write();
    const created = await failureOf(keyed("refused", file));
    const change = { provider: { id, apiCaFile: file }, updateMask: { paths: ["api_ca_file"] } };
    const updated = await failureOf(world.clients.providers.updateProvider(change));
    for (const { code, message } of [created, updated]) {
      expect(code).toBe("InvalidArgument");
      expect(message).toMatch(/provider\.api_ca_file/);
      expect(message).toMatch(why);
    }
    const { provider } = await world.clients.providers.getProvider({ key: { case: "id", value: id } });
    expect(provider?.apiCaFile).toBe("");
  });
});
