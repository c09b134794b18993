import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import {
  type OAuth2OptionsSchema,
  type ProviderSchema,
  TokenEndpointAuthMethod,
  TokenRequestFormat,
} from "../../src/gen/nexus/v1/provider_pb.js";
import { Browser } from "../fakes/browser.js";
import { type Behaviour, ScriptedProvider, scriptedClient } from "../fakes/scripted_provider.js";
import { perSuite } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { TestDaemon } from "./harness.js";
import { registered, requestOf } from "./requests.js";

type Options = Exclude<MessageInitShape<typeof OAuth2OptionsSchema>, { $typeName: string }>;
type Fields = Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;

/** One way in which providers differ, what a profile declares for it, and what the provider receives then. */
interface Quirk {
  readonly behaviour: Behaviour;
  readonly options?: (provider: ScriptedProvider) => Options;
  readonly fields?: Fields;
  readonly shows?: (way: Awaited<ReturnType<typeof wholeWay>>) => void;
}

const daemon = perSuite(() => TestDaemon.start());
const provider = perSuite(() => ScriptedProvider.start());
const clients = perSuite(() => daemon.clients);
let count = 0;

async function register(options: Options, fields: Fields = {}): Promise<string> {
  count += 1;
  return await registered(clients, {
    name: `quirk-${count}`,
    ...scriptedClient,
    authUrl: provider.authUrl,
    tokenUrl: provider.tokenUrl,
    scopes: ["read", "write"],
    oauth2Options: options,
    ...fields,
  });
}

/** Request and consent; the connection as it is then. */
async function connect(providerId: string) {
  const { authUrl, connectionId } = await clients.connections.requestConnection(requestOf(providerId));
  await new Browser().get(authUrl);
  return await read(connectionId);
}

async function read(connectionId: string) {
  const { connection } = await clients.connections.getConnection({ connectionId });
  if (!connection) throw new Error("no connection");
  return connection;
}

async function tokenOf(connectionId: string) {
  const { token } = await clients.tokens.getToken({ connectionId });
  if (!token) throw new Error("no token");
  return token;
}

/** Request, consent, exchange, refresh; what the provider received on the way. */
async function wholeWay({ behaviour, options, fields }: Quirk) {
  provider.become(behaviour);
  const providerId = await register(options?.(provider) ?? {}, fields);
  const connection = await connect(providerId);
  expect([connection.status, provider.tokenRequests[0]?.refusal]).toEqual([
    ConnectionStatus.ACTIVE,
    undefined,
  ]);
  const first = await tokenOf(connection.id);
  await clients.tokens.refreshToken({ connectionId: connection.id });
  const second = await tokenOf(connection.id);
  expect(second.revision).toBe(2n);
  expect(second.credentials["access_token"]).not.toBe(first.credentials["access_token"]);
  const [authorization] = provider.authorizations;
  const [exchange, refresh] = provider.tokenRequests;
  if (!authorization || !exchange || !refresh) throw new Error("a request is missing");
  return { authorization, exchange, refresh, first, second, connection: await read(connection.id) };
}

function secondsLeft(token: {
  readonly expiresAt?: { readonly seconds: bigint } | undefined;
}): number | undefined {
  return token.expiresAt && Number(token.expiresAt.seconds) - Math.floor(daemon.clock.nowMs() / 1000);
}

const quirks: Readonly<Record<string, Quirk>> = {
  "a separator between scopes": {
    behaviour: { scopeSeparator: "," },
    options: () => ({ scopeSeparator: "," }),
    shows: ({ authorization, exchange, refresh }) => {
      expect(authorization.getAll("scope")).toEqual(["read,write"]);
      expect("scope" in exchange.params || "scope" in refresh.params).toBe(false);
    },
  },
  "no scope in the authorization request": {
    behaviour: { rejectsScope: true, wantsAuthorizationParams: { user_scope: "read,write" } },
    options: () => ({ skipScopeOnAuth: true }),
    fields: { authorizationParams: { user_scope: "read,write" } },
    shows: ({ authorization }) =>
      expect([authorization.has("scope"), authorization.get("user_scope")]).toEqual([false, "read,write"]),
  },
  "further parameters of the code exchange": {
    behaviour: { wantsExchangeParams: { action: "requesttoken" } },
    options: () => ({ tokenParams: { action: "requesttoken" } }),
    shows: ({ exchange, refresh }) =>
      expect([exchange.params["action"], refresh.params["action"]]).toEqual(["requesttoken", undefined]),
  },
  "further parameters of a refresh": {
    behaviour: { wantsRefreshParams: { type: "refresh" } },
    options: () => ({ refreshParams: { type: "refresh" } }),
    shows: ({ exchange, refresh }) =>
      expect([exchange.params["type"], refresh.params["type"]]).toEqual([undefined, "refresh"]),
  },
  "further headers of token requests": {
    behaviour: { wantsTokenHeaders: { "x-version": "2026-01-01" } },
    options: () => ({ tokenHeaders: { "X-Version": "2026-01-01" } }),
    shows: ({ exchange, refresh }) => {
      for (const { headers } of [exchange, refresh]) expect(headers["x-version"]).toBe("2026-01-01");
    },
  },
  "token requests as JSON": {
    behaviour: { tokenRequest: "json" },
    options: () => ({ tokenRequestFormat: TokenRequestFormat.JSON }),
    shows: ({ exchange, refresh }) => {
      for (const { headers, params } of [exchange, refresh]) {
        expect(headers["content-type"]).toBe("application/json");
        expect(headers["authorization"]).toBeUndefined();
        expect(params).toMatchObject({ client_id: "the client", client_secret: scriptedClient.clientSecret });
      }
    },
  },
  "HTTP Basic at the token endpoint": {
    behaviour: { clientAuthentication: "basic" },
    fields: { tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC },
  },
  "JSON with HTTP Basic": {
    behaviour: { clientAuthentication: "basic", tokenRequest: "json" },
    options: () => ({ tokenRequestFormat: TokenRequestFormat.JSON }),
    fields: { tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC },
    shows: ({ exchange, refresh }) => {
      for (const { headers, params } of [exchange, refresh]) {
        expect(headers["content-type"]).toBe("application/json");
        expect(headers["authorization"]).toMatch(/^Basic /);
        expect(params).not.toHaveProperty("client_secret");
      }
    },
  },
  "another endpoint for refreshes": {
    behaviour: { refreshPath: "/refresh" },
    options: ({ origin }) => ({ refreshUrl: `${origin}/refresh` }),
    shows: ({ exchange, refresh }) => expect([exchange.path, refresh.path]).toEqual(["/token", "/refresh"]),
  },
  "a token object deep in the answer": {
    behaviour: { shapeAnswer: (standard) => ({ status: 0, data: { token: standard } }) },
    options: () => ({ tokenResponsePath: "data.token" }),
  },
  "another field with the lifetime": {
    behaviour: { shapeAnswer: ({ expires_in: _, ...rest }) => ({ ...rest, lifetime: "1800" }) },
    options: () => ({ lifetimeField: "lifetime" }),
    shows: ({ first, second }) => expect([first, second].map(secondsLeft)).toEqual([1800, 1800]),
  },
  "an answer without a lifetime": {
    behaviour: { shapeAnswer: ({ expires_in: _, ...rest }) => rest },
    options: () => ({ defaultLifetime: { seconds: 7200n, nanos: 0 } }),
    shows: ({ first, second }) => expect([first, second].map(secondsLeft)).toEqual([7200, 7200]),
  },
  "PKCE rejected": {
    behaviour: { rejectsPkce: true },
    options: () => ({ omitPkce: true }),
  },
};

describe("a quirk that is declared goes the whole way, and undeclared it does not", () => {
  it.each(Object.entries(quirks))("%s", async (_name, quirk) => {
    const way = await wholeWay(quirk);
    quirk.shows?.(way);
    const { authorization, exchange, refresh } = way;
    expect(exchange.params["redirect_uri"]).toBe(authorization.get("redirect_uri"));
    expect(exchange.params["redirect_uri"]).toContain(`${daemon.place.config.redirectUri}/`);
    expect(refresh.params["grant_type"]).toBe("refresh_token");
    expect(authorization.has("code_challenge")).toBe(quirk.behaviour.rejectsPkce !== true);
    expect("code_verifier" in exchange.params).toBe(quirk.behaviour.rejectsPkce !== true);

    // A refusal of this provider shows that the test would notice; a lifetime alone is no reason to refuse.
    const { shapeAnswer, ...demands } = quirk.behaviour;
    if (Object.keys(demands).length === 0) return;
    provider.become(quirk.behaviour);
    const plain = await connect(await register({}));
    const refusesRefresh =
      quirk.behaviour.refreshPath !== undefined || quirk.behaviour.wantsRefreshParams !== undefined;
    expect(plain.status).toBe(refusesRefresh ? ConnectionStatus.ACTIVE : ConnectionStatus.FAILED);
    if (refusesRefresh) await failureOf(clients.tokens.refreshToken({ connectionId: plain.id }));
  });
});

describe("a lifetime", () => {
  it("has a default only where the provider says none", async () => {
    const said = await wholeWay({
      behaviour: {},
      options: () => ({ defaultLifetime: { seconds: 7200n, nanos: 0 } }),
    });
    expect(secondsLeft(said.first)).toBe(3600);
    const exp = Math.floor(daemon.clock.nowMs() / 1000) + 900;
    const jwt = ["{}", JSON.stringify({ exp }), "s"].map((part) => Buffer.from(part).toString("base64url"));
    const ofItself = await wholeWay({
      behaviour: {
        shapeAnswer: ({ expires_in: _, ...rest }, grant) =>
          grant === "code" ? { ...rest, access_token: jwt.join(".") } : rest,
      },
      options: () => ({ defaultLifetime: { seconds: 7200n, nanos: 0 } }),
    });
    expect([secondsLeft(ofItself.first), secondsLeft(ofItself.second)]).toEqual([900, 7200]);
    const never = await wholeWay({ behaviour: { shapeAnswer: ({ expires_in: _, ...rest }) => rest } });
    expect(never.first.expiresAt).toBeUndefined();
  });
});

describe("answers in another shape", () => {
  it("takes the person's token of Slack, and its refresh at the root", async () => {
    const { first, second, connection } = await wholeWay({
      behaviour: {
        rejectsPkce: true,
        shapeAnswer: (standard, grant) =>
          grant === "refresh"
            ? { ok: true, ...standard }
            : {
                ok: true,
                access_token: "of the bot",
                team: { id: "T1", name: "Team" },
                authed_user: { id: "U1", ...standard },
              },
      },
      options: () => ({
        omitPkce: true,
        tokenResponsePath: "authed_user",
        tokenMetadata: ["team.id", "authed_user.id"],
      }),
    });
    expect(first.credentials["access_token"]).not.toBe("of the bot");
    expect(second.credentials["access_token"]).toMatch(/^[0-9a-f]{32}$/);
    expect(connection.metadata).toEqual({ "team.id": "T1", "authed_user.id": "U1" });
  });

  it.each(["ok_false", "error_only"] as const)("knows an error with HTTP 200 for one: %s", async (way) => {
    provider.become({ errorsWith200: way, wantsExchangeParams: { never: "given" } });
    const providerId = await register({});
    expect((await connect(providerId)).problem?.reason).toBe("token_exchange_failed");

    provider.become({ errorsWith200: way });
    const connection = await connect(providerId);
    const { credentials } = await tokenOf(connection.id);
    provider.failNextRefresh = "temporarily_unavailable";
    await failureOf(clients.tokens.refreshToken({ connectionId: connection.id }));
    expect((await tokenOf(connection.id)).credentials).toEqual(credentials);
    provider.failNextRefresh = "invalid_grant";
    await failureOf(clients.tokens.refreshToken({ connectionId: connection.id }));
    expect(await read(connection.id)).toMatchObject({
      status: ConnectionStatus.ATTENTION,
      problem: { reason: "reauth_required" },
    });
  });

  it.each([
    ["unauthorized_client", (error: string) => ({ error, error_description: "refresh_token is invalid" })],
    ["status=BAD_REFRESH_TOKEN", () => ({ status: "BAD_REFRESH_TOKEN", message: "missing or invalid" })],
    ["errors.0.resource=RefreshToken", () => ({ errors: [{ resource: "RefreshToken", code: "invalid" }] })],
  ] as const)("knows a dead refresh token by %s, where that is declared", async (alias, shapeRefusal) => {
    const refuseWith = async (invalidGrantAliases: string[], error: string) => {
      provider.become({ shapeRefusal });
      const connection = await connect(await register({ invalidGrantAliases }));
      provider.failNextRefresh = error;
      await failureOf(clients.tokens.refreshToken({ connectionId: connection.id }));
      return (await read(connection.id)).problem?.reason;
    };
    expect(await refuseWith([alias], "unauthorized_client")).toBe("reauth_required");
    const undeclared = alias === "unauthorized_client" ? "misconfigured" : "refresh_failing";
    expect(await refuseWith([], "unauthorized_client")).toBe(undeclared);
  });

  it.each([
    "",
    "a\nb",
    "x".repeat(257),
    "http_status=408",
    "http_status=425",
    "http_status=429",
    "http_status=500",
    "http_status=x",
  ])("refuses %j as such a declaration", async (alias) => {
    const failure = await failureOf(register({ invalidGrantAliases: ["ok", alias] }));
    expect(failure.fields).toEqual(["provider.oauth2_options.invalid_grant_aliases[1]"]);
  });

  it("hands out the header that the profile names", async () => {
    provider.become({});
    const connection = await connect(
      await register(
        {},
        {
          strategy: {
            kind: {
              case: "oauth2",
              value: {
                headerName: "X-Shopify-Access-Token",
                valuePrefix: "",
                credentialField: "access_token",
              },
            },
          },
        },
      ),
    );
    expect((await tokenOf(connection.id)).strategy?.kind).toMatchObject({
      case: "oauth2",
      value: { headerName: "X-Shopify-Access-Token", valuePrefix: "" },
    });
  });
});

describe("metadata", () => {
  it("keeps values of the callback and of both answers", async () => {
    let calls = 0;
    const { connection } = await wholeWay({
      behaviour: {
        callbackParams: { realmId: "4620816365", location: "eu", other: "x" },
        shapeAnswer: (standard) => {
          calls += 1;
          return {
            ...standard,
            instance_url: `https://na${calls}.example`,
            team: { id: 7, admin: true },
            owner: { a: 1 },
          };
        },
      },
      options: () => ({
        callbackMetadata: ["realmId", "location", "absent"],
        tokenMetadata: ["instance_url", "team.id", "team.admin", "owner", "absent"],
      }),
    });
    expect(connection.metadata).toEqual({
      realmId: "4620816365",
      location: "eu",
      instance_url: "https://na2.example",
      "team.id": "7",
      "team.admin": "true",
    });
  });

  it("keeps no value that is longer than 1 KiB and no more than 20", async () => {
    const callback = Array.from({ length: 15 }, (_, index) => `c${index}`);
    const answer = Array.from({ length: 15 }, (_, index) => `t${index}`);
    const { connection } = await wholeWay({
      behaviour: {
        callbackParams: Object.fromEntries([...callback, "fits", "long"].map((name) => [name, name])),
        shapeAnswer: (standard) => ({
          ...standard,
          ...Object.fromEntries(answer.map((name) => [name, name])),
          t0: "ü".repeat(512),
          t1: `${"ü".repeat(512)}!`,
        }),
      },
      options: () => ({ callbackMetadata: callback, tokenMetadata: answer }),
    });
    expect(Object.keys(connection.metadata)).toHaveLength(20);
    expect(connection.metadata["t0"]).toHaveLength(512);
    expect(connection.metadata).not.toHaveProperty("t1");
  });

  it("does not outlive the consent that brought it", async () => {
    provider.become({ callbackParams: { realmId: "1" } });
    const providerId = await register({ callbackMetadata: ["realmId", "shop"] });
    const before = await connect(providerId);
    provider.become({ callbackParams: { shop: "acme" } });
    const { authUrl } = await clients.connections.requestConnection({ connectionId: before.id });
    await new Browser().get(authUrl);
    expect((await read(before.id)).metadata).toEqual({ shop: "acme" });
  });

  it.each(["access_token", "authed_user.refresh_token", "id_token", "client_secret", "code"])(
    "refuses to keep %s",
    async (name) => {
      const failure = await failureOf(register({ tokenMetadata: ["team.id", name] }));
      expect(failure.fields).toEqual(["provider.oauth2_options.token_metadata[1]"]);
      const ofCallback = await failureOf(register({ callbackMetadata: [name] }));
      expect(ofCallback.fields).toEqual(["provider.oauth2_options.callback_metadata[0]"]);
    },
  );
});

it.each([
  ["token_params", { tokenParams: { grant_type: "password" } }, 'token_params["grant_type"]'],
  ["refresh_params", { refreshParams: { refresh_token: "x" } }, 'refresh_params["refresh_token"]'],
  ["token_headers", { tokenHeaders: { Authorization: "x" } }, 'token_headers["Authorization"]'],
  ["a framing token_header", { tokenHeaders: { Expect: "x" } }, 'token_headers["Expect"]'],
])("%s cannot change what the protocol says", async (_name, options, field) => {
  expect((await failureOf(register(options))).fields).toEqual([`provider.oauth2_options.${field}`]);
});
