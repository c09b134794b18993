import { decodeJwt, EmbeddedJWK, jwtVerify } from "jose";
import { AuthType, DpopMode } from "../../../src/gen/nexus/v1/provider_pb.js";
import type { DriverProcess } from "../driver_process.js";
import { type Case, must, refused, type Scene, same, sees, withoutCalls } from "../scene.js";
import { type ApiCall, bearerOf, ScriptedApi } from "../scripted_api.js";
import { GrpcApi } from "../stand_in.js";

const invalidToken = { status: 401, headers: { "www-authenticate": 'Bearer error="invalid_token"' } };
const insufficientScope = {
  status: 403,
  headers: { "www-authenticate": 'Bearer realm="api", error="insufficient_scope", scope="write"' },
};

/** Hooks that send no token which is bound to a key, and say so. */
const refusing: readonly string[] = ["requests", "httpx"];

interface Play {
  readonly scene: Scene;
  readonly driver: DriverProcess;
  readonly via: string;
  /** Sends a request through the hook. @returns the status of its answer */
  send(provider: string): Promise<unknown>;
  /** Reports that the daemon answered. */
  reports(): Promise<number>;
}

/** A case that is played with each hook of the library. */
function eachHook(name: string, play: (play: Play) => Promise<void>): Case {
  return {
    name,
    play: async (scene) => {
      const { world } = scene;
      const driver = await scene.open();
      const { hooks } = (await driver.call("hooks")) as { hooks: string[] };
      must(hooks.length > 0, "it has no hook");
      for (const via of hooks) {
        const send = async (provider: string): Promise<unknown> => {
          const request = { method: "POST", url: `${world.api.origin}/v1/things`, body: '{"a":1}' };
          const headers = { "content-type": "application/json" };
          const answer = await driver.call("request", { via, provider, user: "ada", headers, ...request });
          return answer["status"];
        };
        try {
          await play({ scene, driver, via, send, reports: () => world.rpcs("ReportRejectedToken") });
        } catch (error) {
          throw new Error(`${via}: ${(error as Error).message}`);
        } finally {
          world.api.become();
        }
      }
    },
  };
}

/** What carries the credential into requests of an ecosystem's own clients. */
export const hooks: readonly Case[] = [
  eachHook("hook: 401", async ({ scene: { world }, send, reports }) => {
    const { api } = world;
    const { provider } = await world.connected();
    api.become();
    same("the status", await send(provider), 200);
    same("the bearer tokens", api.calls.map(bearerOf), [world.newest]);

    const stale = world.newest;
    api.become((call) => (bearerOf(call) === stale ? invalidToken : { status: 200 }));
    const before = await reports();
    same("the status after a 401", await send(provider), 200);
    same("the bearer tokens", api.calls.map(bearerOf), [stale, world.newest]);
    same("the bodies", new Set(api.calls.map(({ body }) => body)).size, 1);
    same("reports", (await reports()) - before, 1);
    must(world.newest !== stale, "the daemon did not refresh");

    const hopeless = (await world.connected()).provider;
    api.become(() => invalidToken);
    same("the status when all is refused", await send(hopeless), 401);
    same("requests when all is refused", api.calls.length, 2);
  }),
  eachHook("hook: 401 of many", async ({ scene: { world }, send }) => {
    const { api } = world;
    const { provider } = await world.connected();
    api.become();
    await send(provider);
    const stale = world.newest;
    const issued = world.issued.length;
    api.become((call) => (bearerOf(call) === stale ? invalidToken : { status: 200 }));
    const statuses = await Promise.all(Array.from({ length: 5 }, () => send(provider)));
    same("the statuses", statuses, [200, 200, 200, 200, 200]);
    same("refreshes", world.issued.length - issued, 1);
    must(api.calls.length <= 10, `the API was called ${api.calls.length} times`);
  }),
  eachHook("hook: 403", async ({ scene: { world }, driver, send, reports }) => {
    const { api } = world;
    world.scope = "read";
    const { provider } = await world.connected();
    await sees(driver, provider, 1);
    const before = await reports();
    api.become(() => ({ status: 403 }));
    same("the status of a 403", await send(provider), 403);
    same("requests and reports of a 403", [api.calls.length, (await reports()) - before], [1, 0]);

    api.become(() => insufficientScope);
    const { fields } = await refused(send(provider), "ConsentRequired");
    same("requests and reports", [api.calls.length, (await reports()) - before], [1, 1]);
    same("reason and scopes", [fields["reason"], fields["scopes"]], ["scopes_missing", ["write"]]);
    await withoutCalls(world, () => sees(driver, provider, 1));
    const waiting = driver.start("acquire", { provider, user: "ada", scopes: fields["scopes"] });
    waiting.result.catch(() => undefined);
    const { auth_url } = await waiting.consent();
    same("the link of acquire", auth_url, fields["auth_url"]);
    world.scope = "read write";
    await world.consent(auth_url);
    same("the revision", (await waiting.result)["revision"], 2);
    api.become();
    same("the status after the step-up", await send(provider), 200);
    same("the bearer tokens", api.calls.map(bearerOf), [world.newest]);
  }),
  eachHook("hook: bound token", async ({ scene: { world }, via, send }) => {
    world.tokenType = "DPoP";
    const provider = await world.register({ oauth2Options: { dpop: DpopMode.ALWAYS } });
    await world.connect(provider);
    world.tokenType = "Bearer";
    const wanted = { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n-1" };
    const nonceOf = (call: ApiCall) => decodeJwt(String(call.headers["dpop"]))["nonce"];
    world.api.become((call) =>
      call.headers["dpop"] !== undefined && nonceOf(call) === "n-1"
        ? { status: 200 }
        : { status: 401, headers: wanted },
    );
    const sent = await send(provider).catch((error: unknown) => error);
    const { calls, origin } = world.api;
    same("tokens without a proof", calls.filter(({ headers }) => !headers["dpop"]).length, 0);
    if (refusing.includes(via)) {
      must(sent instanceof Error && sent.message.includes("DPoP"), `it did not say that it cannot: ${sent}`);
      return;
    }
    if (via === "connect") return;
    same("the status", sent, 200);
    same("requests", calls.length, 2);
    for (const call of calls) {
      same("the token", call.headers.authorization, `DPoP ${world.newest}`);
      const proof = String(call.headers["dpop"]);
      const { payload } = await jwtVerify(proof, EmbeddedJWK, { typ: "dpop+jwt", algorithms: ["ES256"] });
      same("what is proved", [payload["htm"], payload["htu"]], ["POST", `${origin}/v1/things`]);
    }
  }),
  eachHook("hook: redirect", async ({ scene: { world }, driver, via }) => {
    const elsewhere = await ScriptedApi.start();
    const provider = await keyed(world, AuthType.HEADER, {
      headerName: "X-Api-Key",
      credentialField: "api_key",
    });
    const same_origin = (call: ApiCall) => call.path !== "/moved";
    world.api.become((call) =>
      same_origin(call)
        ? { status: 307, headers: { location: call.path === "/near" ? "/moved" : `${elsewhere.origin}/far` } }
        : { status: 200 },
    );
    try {
      for (const path of ["/near", "/away"]) {
        const url = `${world.api.origin}${path}`;
        // A hook that does not follow redirects answers them, or fails.
        await driver
          .call("request", { via, provider, user: "ada", method: "GET", url })
          .catch(() => undefined);
        must(
          world.api.calls.some(({ headers }) => headers["x-api-key"] === "the-key"),
          "no request had the key",
        );
      }
      same("keys seen elsewhere", elsewhere.calls.filter(({ headers }) => headers["x-api-key"]).length, 0);
      const near = world.api.calls.filter(({ path }) => path === "/moved");
      same(
        "keys missing after a redirect within the origin",
        near.filter(({ headers }) => !headers["x-api-key"]).length,
        0,
      );
    } finally {
      await elsewhere.close();
    }
  }),
  eachHook("hook: strategies", async ({ scene: { world }, driver, send }) => {
    const { api } = world;
    const inHeader = await keyed(world, AuthType.API_KEY);
    await send(inHeader);
    same("the header", api.calls.at(-1)?.headers["x-api-key"], "the-key");
    same("the API key", (await driver.token(inHeader)).access_token, "the-key");
    const inQuery = await keyed(world, AuthType.QUERY_PARAM, {
      paramName: "key",
      credentialField: "api_key",
    });
    await send(inQuery);
    must(/[?&]key=the-key$/.test(api.calls.at(-1)?.path ?? ""), `the path is ${api.calls.at(-1)?.path}`);
    same("the header beside the query", api.calls.at(-1)?.headers.authorization, undefined);
    const basic = await keyed(world, AuthType.BASIC_AUTH);
    await send(basic);
    const expected = `Basic ${Buffer.from("ada:open sesame").toString("base64")}`;
    same("the header of Basic", api.calls.at(-1)?.headers.authorization, expected);
    same("the access token of Basic", (await driver.token(basic)).access_token, null);
  }),
  {
    name: "per-call credentials",
    play: async (scene) => {
      const { world } = scene;
      const api = await GrpcApi.start();
      try {
        const { provider } = await world.connected();
        const driver = await scene.open();
        const call = async () => {
          const ca_file = world.file("ca.pem", api.ca);
          const fields = { address: api.address, ca_file, provider, user: "ada" };
          same("the code", (await driver.call("grpc", fields))["code"], 0);
          return api.calls.at(-1)?.authorization;
        };
        same("the metadata", await call(), `Bearer ${world.newest}`);
        await sees(driver, provider, await world.refresh(provider));
        same("the metadata after a refresh", await call(), `Bearer ${world.newest}`);
      } finally {
        api.close();
      }
    },
  },
];

/** A provider of a static type with a connection. @returns its name */
async function keyed(world: Scene["world"], authType: AuthType, strategy?: object): Promise<string> {
  const kinds = { [AuthType.HEADER]: "header", [AuthType.QUERY_PARAM]: "queryParam" } as Record<
    number,
    string
  >;
  const kind = kinds[authType];
  const provider = await world.register({
    authType,
    ...(kind === undefined ? {} : { strategy: { kind: { case: kind as "header", value: strategy ?? {} } } }),
  });
  const { providers } = await world.clients.providers.listProviders({});
  const providerId = providers.find(({ name }) => name === provider)?.id ?? "";
  const credentials: Record<string, string> =
    authType === AuthType.BASIC_AUTH ? { username: "ada", password: "open sesame" } : { api_key: "the-key" };
  await world.clients.connections.importConnection({ userId: "ada", providerId, credentials });
  return provider;
}
