import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { TokenService } from "../../src/gen/nexus/v1/token_pb.js";
import { admin, type Principal } from "../../src/model/access/principal.js";
import { Unavailable } from "../../src/model/errors.js";
import { ApiListener } from "../../src/server/api/api_listener.js";
import { restRoutes } from "../../src/server/rest/rest_routes.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { FakeServices } from "./fake_services.js";
import { GrpcTestClient } from "./grpc_client.js";
import { failure } from "./http_listener_fixture.js";
import { restDefaults } from "./rest_defaults.js";
import { loopback, opened, portOf } from "./temporary.js";

/** Both listeners, where who calls is known only later, or not at all. */
async function listenersWith(answer: () => Promise<Principal | undefined>) {
  const { services, onUnexpected, unexpected } = new FakeServices();
  const common = {
    ...{ services, onUnexpected, setting: "NEXUS_X_LISTEN" },
    ...{ listen: loopback, clock: new ManualClock(0) },
  };
  const authenticate = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return await answer();
  };
  const routes = restRoutes({ ...restDefaults, services, onUnexpected });
  const grpc = await opened(new ApiListener({ ...common, authenticate, name: "grpc" }));
  const http = await opened(new ApiListener({ ...common, authenticate, name: "http", routes }));
  const client = new GrpcTestClient(`127.0.0.1:${portOf(grpc)}`);
  onTestFinished(() => client.close());
  const base = `http://127.0.0.1:${portOf(http)}`;
  const connect = createClient(TokenService, createConnectTransport({ baseUrl: base, httpVersion: "1.1" }));
  return {
    unexpected,
    base,
    overGrpc: () => client.call(TokenService.method.getToken, { connectionId: "x" }),
    overHttp: () => connect.getToken({ connectionId: "x" }),
  };
}

describe("a caller whose proof takes time", () => {
  test("is served when it is found", async () => {
    const { overGrpc, overHttp } = await listenersWith(() => Promise.resolve(admin));
    expect((await overGrpc()).token?.grantedScopes).toEqual(["x", "admin"]);
    expect((await overHttp()).token?.grantedScopes).toEqual(["x", "admin"]);
  });

  test("is refused when it is nobody", async () => {
    const { overGrpc, overHttp, base } = await listenersWith(() => Promise.resolve(undefined));
    await expect(overGrpc()).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    expect((await failure(overHttp())).code).toBe(Code.Unauthenticated);
    expect((await fetch(`${base}/v1/providers`)).status).toBe(401);
  });

  test("is told to come again when that cannot be known just now", async () => {
    const reason = "the keys of the JWT issuer cannot be fetched at the moment";
    const { overGrpc, overHttp, base, unexpected } = await listenersWith(() =>
      Promise.reject(new Unavailable(reason)),
    );
    await expect(overGrpc()).rejects.toMatchObject({ code: status.UNAVAILABLE, details: reason });
    expect(await failure(overHttp())).toMatchObject({ code: Code.Unavailable, rawMessage: reason });
    const rest = await fetch(`${base}/v1/providers`);
    expect([rest.status, await rest.json()]).toEqual([
      503,
      { error: "unavailable", code: "unavailable", message: reason },
    ]);
    expect(unexpected).toEqual([]);
  });

  test("learns nothing of an error of ours", async () => {
    const { overGrpc, overHttp, unexpected } = await listenersWith(() =>
      Promise.reject(new Error("the secret is 4711")),
    );
    await expect(overGrpc()).rejects.toMatchObject({ code: status.INTERNAL, details: "internal error" });
    expect(await failure(overHttp())).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
    expect(unexpected).toHaveLength(2);
  });
});
