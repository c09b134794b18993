import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { socketTransport, World } from "../../../daemon/harness.js";
import { registered, requestOf } from "../../../daemon/requests.js";
import { SecretWatcher, secretsOf } from "../../../daemon/secret_watcher.js";
import { consent } from "../../../fakes/browser.js";
import { perTest } from "../../../lifetimes.js";

const hourMs = 3_600_000;

describe("secret discovery", () => {
  const world = perTest(() => World.make());
  let id: string;
  let watchers: SecretWatcher[];
  beforeEach(async () => {
    id = await world.connect(await world.register());
    watchers = [];
  });
  afterEach(async () => {
    for (const watcher of watchers) watcher.cancel();
  });
  const watch = (): SecretWatcher => {
    const { socket } = world.place;
    const watcher = new SecretWatcher(socketTransport(socket));
    watchers.push(watcher);
    return watcher;
  };
  const token = async (): Promise<string> =>
    (await world.clients.tokens.getToken({ connectionId: id })).token?.credentials["access_token"] ?? "";
  const refresh = () => world.clients.tokens.refreshToken({ connectionId: id });
  const logged = (text: string): string[] => world.place.logLines.filter((line) => line.includes(text));

  it("answers at once, and again when the token is a new one", async () => {
    const name = `nexus/${id}/bearer`;
    const watcher = watch();
    watcher.send([name]);
    const first = await watcher.next();
    const before = await token();
    expect(secretsOf(first)).toEqual({ [name]: `Bearer ${before}` });
    watcher.send([name], first);
    await refresh();
    const second = await watcher.next();
    expect(await token()).not.toBe(before);
    expect(secretsOf(second)).toEqual({ [name]: `Bearer ${await token()}` });
    expect(second.nonce).not.toBe(first.nonce);
    expect(second.versionInfo).not.toBe(first.versionInfo);
  });

  it("says the same version for the same secret, on another stream and by FetchSecrets", async () => {
    const name = `nexus/${id}/token`;
    const [one, other] = [watch(), watch()];
    one.send([name]);
    other.send([name]);
    const [first, second] = [await one.next(), await other.next()];
    expect(second.versionInfo).toBe(first.versionInfo);
    const fetched = await one.client.fetchSecrets({ resourceNames: [name] });
    expect(fetched.versionInfo).toBe(first.versionInfo);
    expect(secretsOf(fetched)).toEqual({ [name]: await token() });
  });

  it("empties the secret when the connection is revoked", async () => {
    const name = `nexus/${id}/header`;
    const watcher = watch();
    watcher.send([name]);
    watcher.send([name], await watcher.next());
    await world.clients.connections.revokeConnection({ connectionId: id });
    expect(secretsOf(await watcher.next())).toEqual({ [name]: "" });
  });

  it("empties the secret when the token expires and is not refreshed", async () => {
    const name = `nexus/${id}/header`;
    const watcher = watch();
    watcher.send([name]);
    const first = await watcher.next();
    watcher.send([name], first);
    await world.provider.stop();
    await world.clock.advance(2 * hourMs);
    expect(secretsOf(await watcher.next())).toEqual({ [name]: "" });
  });

  it("answers with empty secrets for what there is not, and fills them when it is there", async () => {
    const nobody = "nexus/00000000-0000-4000-8000-000000000000/bearer";
    const names = [nobody, `other/${id}/bearer`, `nexus/${id}/basic`, `nexus/${id}`, "x"];
    const watcher = watch();
    watcher.send(names);
    expect(secretsOf(await watcher.next())).toEqual(Object.fromEntries(names.map((name) => [name, ""])));
    expect(logged("cannot be made")).toHaveLength(1);
  });

  it("has an empty secret until the connection has a credential", async () => {
    const { connectionId, authUrl } = await world.clients.connections.requestConnection(requestOf("op"));
    const name = `nexus/${connectionId}/token`;
    const watcher = watch();
    watcher.send([name]);
    const first = await watcher.next();
    expect(secretsOf(first)).toEqual({ [name]: "" });
    watcher.send([name], first);
    await consent(world.browser, authUrl);
    const { token: made } = await world.clients.tokens.getToken({ connectionId });
    expect(secretsOf(await watcher.next())).toEqual({ [name]: made?.credentials["access_token"] });
  });

  it("follows the profile, when that says otherwise how the token is applied", async () => {
    const name = `nexus/${id}/header`;
    const watcher = watch();
    watcher.send([name]);
    const first = await watcher.next();
    watcher.send([name], first);
    const { connection } = await world.clients.connections.getConnection({ connectionId: id });
    const update = (valuePrefix: string) => {
      const value = { headerName: "Authorization", valuePrefix, credentialField: "access_token" };
      const strategy = { kind: { case: "oauth2" as const, value } };
      return world.clients.providers.updateProvider({
        provider: { id: connection?.providerId ?? "", strategy },
        updateMask: { paths: ["strategy"] },
      });
    };
    await update("Bearer ");
    await update("token ");
    const second = await watcher.next();
    expect(secretsOf(second)).toEqual({ [name]: `token ${await token()}` });
    expect(second.versionInfo).not.toBe(first.versionInfo);
    expect(Number(second.nonce)).toBe(Number(first.nonce) + 1);
  });

  it("has nothing for a wildcard", async () => {
    const watcher = watch();
    watcher.send(["*"]);
    expect(secretsOf(await watcher.next())).toEqual({ "*": "" });
    expect((await watcher.client.fetchSecrets({})).resources).toEqual([]);
  });

  it("ignores a stale nonce, and sends what a new request adds alone", async () => {
    const [bearer, plain] = [`nexus/${id}/bearer`, `nexus/${id}/token`];
    const watcher = watch();
    watcher.send([bearer]);
    const first = await watcher.next();
    await refresh();
    const second = await watcher.next();
    // The proxy has not seen the second yet: this one is ignored, or its names would come now.
    watcher.send([bearer, plain], first);
    watcher.send([bearer, plain], second);
    const third = await watcher.next();
    expect(secretsOf(third)).toEqual({ [plain]: await token() });
    expect(Number(third.nonce)).toBe(Number(second.nonce) + 1);
  });

  it("logs a refusal without a secret, and sends no answer to it", async () => {
    const name = `nexus/${id}/bearer`;
    const watcher = watch();
    watcher.send([name]);
    const first = await watcher.next();
    watcher.send([name], first, `bad secret ${await token()}`);
    await refresh();
    const second = await watcher.next();
    expect(secretsOf(second)).toEqual({ [name]: `Bearer ${await token()}` });
    expect(logged("a proxy refused its secrets")).toHaveLength(1);
    expect(logged(await token())).toEqual([]);
    expect(logged("bad secret")).toEqual([]);
    watcher.send([name], second, "no such field");
    watcher.send([], second);
    watcher.send([name], second);
    expect(secretsOf(await watcher.next())).toEqual(secretsOf(second));
    expect(logged("no such field")).toHaveLength(1);
  });

  it("puts each secret on record, as a read of the token", async () => {
    const watcher = watch();
    watcher.send([`nexus/${id}/bearer`]);
    await watcher.next();
    const { events } = await world.clients.audit.listAuditEvents({ connectionId: id });
    const reads = events.filter(({ eventType }) => eventType === "token_retrieved");
    expect(reads).toMatchObject([{ principal: "owner", revision: 1n }]);
  });

  it("makes secrets of the strategies that live in a header", async () => {
    const providerId = await registered(world.clients, { name: "basic", authType: AuthType.BASIC_AUTH });
    const { connection } = await world.clients.connections.importConnection({
      userId: "ada",
      providerId,
      credentials: { username: "ada", password: "p:w" },
    });
    const watcher = watch();
    const kinds = ["basic", "header", "bearer", "token"].map((kind) => `nexus/${connection?.id}/${kind}`);
    watcher.send(kinds);
    const value = `Basic ${Buffer.from("ada:p:w").toString("base64")}`;
    expect(Object.values(secretsOf(await watcher.next()))).toEqual([value, value, "", ""]);
  });

  it("refuses another type, more names than it takes, and DeltaSecrets", async () => {
    const watcher = watch();
    watcher.send([]);
    const { client } = watcher;
    await expect(client.fetchSecrets({ typeUrl: "type.googleapis.com/x" })).rejects.toMatchObject({
      code: 3,
    });
    const resourceNames = Array.from({ length: 1_001 }, (_, index) => `nexus/${index}/bearer`);
    await expect(client.fetchSecrets({ resourceNames })).rejects.toMatchObject({ code: 3 });
    const raw = new Client(`unix:${world.place.socket}`, credentials.createInsecure());
    const path = "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets";
    const error = await new Promise<ServiceError>((resolve) => {
      const bytes = (message: Buffer): Buffer => message;
      raw.makeBidiStreamRequest(path, bytes, bytes).on("error", resolve);
    });
    expect(error.code).toBe(12);
    raw.close();
  });

  it("ends when the daemon drains", async () => {
    const watcher = watch();
    watcher.send([`nexus/${id}/bearer`]);
    await watcher.next();
    // It asks for what is no connection.
    const mistaken = watch();
    mistaken.send(["nothing"]);
    await mistaken.next();
    const ends = [watcher, mistaken].map((each) => expect(each.next()).rejects.toThrow());
    await world.stop();
    await Promise.all(ends);
    await world.start();
  });
});
