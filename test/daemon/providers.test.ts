import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  AuthType,
  type ProviderSchema,
  TokenEndpointAuthMethod,
} from "../../src/gen/nexus/v1/provider_pb.js";
import { perSuite } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { World } from "./harness.js";
import { requestOf } from "./requests.js";

type ProviderInit = MessageInitShape<typeof ProviderSchema>;

const manual = {
  name: "github",
  clientId: "id",
  clientSecret: "a very secret secret",
  authUrl: "https://github.com/login/oauth/authorize",
  tokenUrl: "https://github.com/login/oauth/access_token",
} satisfies ProviderInit;

describe("providers", () => {
  const world = perSuite(() => World.make());
  const create = (provider: ProviderInit) => world.clients.providers.createProvider({ provider });

  it("creates a profile, answers the redirect URI, and never the secret", async () => {
    const created = await create({
      ...manual,
      scopes: ["repo"],
      authorizationParams: { allow_signup: "false" },
    });
    expect(created.redirectUri).toBe(`${world.place.config.redirectUri}/github`);
    expect(created.provider).toMatchObject({
      name: "github",
      authType: AuthType.OAUTH2,
      clientId: "id",
      clientSecret: "",
      clientSecretSet: true,
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
      scopes: ["repo"],
      authorizationParams: { allow_signup: "false" },
    });
    const id = created.provider?.id ?? "";
    const byName = await world.clients.providers.getProvider({ key: { case: "name", value: " GitHub " } });
    const byId = await world.clients.providers.getProvider({ key: { case: "id", value: id } });
    expect(byName.provider).toEqual(created.provider);
    expect(byId.provider).toEqual(created.provider);
  });

  it("refuses a name that is taken, whatever its case, and stores nothing", async () => {
    expect(await failureOf(create({ ...manual, name: "GITHUB" }))).toMatchObject({ code: "AlreadyExists" });
    const { providers } = await world.clients.providers.listProviders({});
    expect(providers.map(({ name }) => name)).toEqual(["github"]);
  });

  it("keeps endpoints that are given beside discovery, which they override", async () => {
    const both = { ...manual, name: "x", issuer: "https://example.com", enableDiscovery: true };
    const { provider } = await create(both);
    const { authUrl, tokenUrl } = manual;
    expect(provider).toMatchObject({ enableDiscovery: true, authUrl, tokenUrl });
    await world.clients.providers.deleteProvider({ id: provider?.id ?? "" });
  });

  it.each([
    [
      "a strategy of another type",
      { authType: AuthType.BASIC_AUTH, strategy: { kind: { case: "header", value: {} } } },
      "provider.strategy",
    ],
    ["aws_sigv4 without a service", { authType: AuthType.AWS_SIGV4 }, "provider.strategy.aws_sigv4.service"],
    [
      "hmac_payload without a header",
      { authType: AuthType.HMAC_PAYLOAD },
      "provider.strategy.hmac_payload.header_name",
    ],
    ["a client of a static type", { authType: AuthType.API_KEY, clientId: "x" }, "provider.client_id"],
    [
      "a name that is a UUID",
      { authType: AuthType.API_KEY, name: "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1f00" },
      "provider.name",
    ],
  ] as [string, ProviderInit, string][])("refuses %s", async (_name, provider, field) => {
    expect(await failureOf(create({ name: "static", ...provider }))).toMatchObject({
      code: "InvalidArgument",
      fields: [field],
    });
  });

  it("changes only what the mask names, and refuses a stale etag", async () => {
    const { provider: before } = await world.clients.providers.getProvider({
      key: { case: "name", value: "github" },
    });
    const id = before?.id ?? "";
    const update = (provider: ProviderInit, paths: string[], etag = "") =>
      world.clients.providers.updateProvider({ provider: { ...provider, id }, updateMask: { paths }, etag });

    const changed = await update({ description: "Code", clientId: "ignored" }, ["description"], before?.etag);
    expect(changed.provider).toMatchObject({ description: "Code", clientId: "id", clientSecretSet: true });
    expect(changed.provider?.etag).not.toBe(before?.etag);
    expect((await failureOf(update({ description: "x" }, ["description"], before?.etag))).code).toBe(
      "Aborted",
    );

    expect((await failureOf(update({}, ["id"]))).fields).toEqual(["update_mask.paths[0]"]);
    expect((await failureOf(update({}, []))).code).toBe("InvalidArgument");
    expect((await failureOf(update({ name: "" }, ["name"]))).fields).toEqual(["provider.name"]);
    expect((await failureOf(update({}, ["client_secret"]))).fields).toEqual(["provider.client_secret"]);
    await update({ tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE }, [
      "client_secret",
      "token_endpoint_auth_method",
    ]);
    const { provider: after } = await world.clients.providers.getProvider({ key: { case: "id", value: id } });
    expect(after).toMatchObject({ name: "github", description: "Code", clientSecretSet: false });
  });

  it("renames, and frees the old name", async () => {
    const { provider } = await create({ ...manual, name: "old" });
    const id = provider?.id ?? "";
    await world.clients.providers.updateProvider({
      provider: { id, name: "new" },
      updateMask: { paths: ["name"] },
    });
    const gone = await failureOf(
      world.clients.providers.getProvider({ key: { case: "name", value: "old" } }),
    );
    expect(gone.code).toBe("NotFound");
    await create({ ...manual, name: "old" });
    const taken = await failureOf(
      world.clients.providers.updateProvider({
        provider: { id, name: "old" },
        updateMask: { paths: ["name"] },
      }),
    );
    expect(taken.code).toBe("AlreadyExists");
  });

  it("lists in pages ordered by name", async () => {
    for (const name of ["c", "a", "b"]) await create({ ...manual, name });
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await world.clients.providers.listProviders({ pageSize: 2, pageToken });
      expect(page.providers.length).toBeLessThanOrEqual(2);
      names.push(...page.providers.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toEqual(["a", "b", "c", "github", "new", "old"]);
    const some = await world.clients.providers.listProviders({ namePrefix: "gi" });
    expect(some.providers.map(({ name }) => name)).toEqual(["github"]);
    expect((await failureOf(world.clients.providers.listProviders({ pageToken: "%%" }))).fields).toEqual([
      "page_token",
    ]);
    expect((await failureOf(world.clients.providers.listProviders({ pageSize: -1 }))).fields).toEqual([
      "page_size",
    ]);
    expect((await failureOf(world.clients.providers.listProviders({ pageSize: 1001 }))).fields).toEqual([
      "page_size",
    ]);
  });

  it("deletes, leaves the connections, says how many, and lets no new consent start", async () => {
    const providerId = await world.register("deleted");
    const connectionId = await world.connect(providerId);
    const pending = await world.clients.connections.requestConnection(
      requestOf(providerId, { userId: "bob" }),
    );
    const answer = await world.clients.providers.deleteProvider({ id: providerId });
    expect(answer.remainingConnections).toBe(2);

    expect((await world.clients.tokens.getToken({ connectionId })).token?.revision).toBe(1n);
    const again = await failureOf(world.clients.connections.requestConnection({ connectionId }));
    expect(again).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_DELETED" });
    const anew = world.clients.connections.requestConnection(requestOf(providerId, { userId: "eve" }));
    expect((await failureOf(anew)).code).toBe("NotFound");
    const page = await world.browser.get(pending.authUrl);
    expect(page.status).toBe(410);
    expect((await failureOf(world.clients.providers.deleteProvider({ id: providerId }))).code).toBe(
      "NotFound",
    );
  });
});
