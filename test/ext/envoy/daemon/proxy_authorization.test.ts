import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { credentials, Client as GrpcClient, Metadata } from "@grpc/grpc-js";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
} from "../../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { perSuite } from "../../../lifetimes.js";
import { AccessWorld } from "../../../security/access_world.js";

const unknown = "00000000-0000-4000-8000-000000000000";

describe("authorization of proxies", () => {
  const world = perSuite(() => AccessWorld.make());
  let key: string;
  let mine: string;
  let theirs: string;
  beforeAll(async () => {
    mine = world.connections.adaGithub;
    theirs = world.connections.bobGithub;
    key = await world.key({ userIds: ["ada"] }, "proxy");
  });

  const check = async (connectionId: string | undefined, shown: string): Promise<CheckResponse> => {
    const client = new GrpcClient(world.grpcUrl.replace("http://", ""), credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${shown}`);
    const request = create(CheckRequestSchema, {
      attributes: {
        contextExtensions: connectionId === undefined ? {} : { connection_id: connectionId },
        request: { http: { method: "GET", path: "/", headers: { authorization: "forged" } } },
      },
    });
    try {
      return await new Promise<CheckResponse>((resolve, reject) => {
        client.makeUnaryRequest(
          "/envoy.service.auth.v3.Authorization/Check",
          (message: CheckRequest) => Buffer.from(toBinary(CheckRequestSchema, message)),
          (bytes: Buffer) => fromBinary(CheckResponseSchema, bytes),
          request,
          metadata,
          (error, answer) => (answer ? resolve(answer) : reject(error ?? new Error("no answer"))),
        );
      });
    } finally {
      client.close();
    }
  };
  const statusOf = ({ httpResponse }: CheckResponse): number =>
    httpResponse.case === "deniedResponse" ? (httpResponse.value.status?.code ?? 0) : 200;
  const ask = (path: string, shown: string | undefined, init: RequestInit = {}): Promise<Response> =>
    fetch(`${world.place.httpUrl}${path}`, {
      ...init,
      headers: { ...(shown !== undefined && { authorization: `Bearer ${shown}` }), ...init.headers },
    });

  it("answers the header, and takes the caller's own credentials away", async () => {
    const { status, httpResponse } = await check(mine, key);
    expect(status?.code).toBe(0);
    if (httpResponse.case !== "okResponse") throw new Error("denied");
    const { headers, headersToRemove } = httpResponse.value;
    expect(headers.map(({ header, appendAction }) => [header?.key, header?.value, appendAction])).toEqual([
      ["authorization", "Bearer secret-of-ada", 2],
    ]);
    expect(headersToRemove).toEqual(["dpop", "proxy-authorization", "cookie", "x-api-key"]);
  });

  it("denies what the proxy may not have as what there is not", async () => {
    const answers = [await check(theirs, key), await check(unknown, key), await check("x", key)];
    expect(answers.map(statusOf)).toEqual([403, 403, 403]);
    const [first, second] = answers;
    expect(first).toEqual(second);
    expect(statusOf(await check(undefined, key))).toBe(403);
  });

  it("denies operators, who hold no tokens, and refuses whom it does not know", async () => {
    const operator = await world.key({ role: Role.OPERATOR });
    expect(statusOf(await check(mine, operator))).toBe(403);
    expect((await ask(`/v1/authorize/${mine}`, operator)).status).toBe(403);
    await expect(check(mine, "wrong")).rejects.toMatchObject({ code: 16 });
    expect((await ask(`/v1/authorize/${mine}`, "wrong")).status).toBe(401);
    expect((await ask(`/v1/authorize/${mine}`, undefined)).status).toBe(401);
  });

  it("is in the OpenAPI document, with each status that it answers", async () => {
    const document = (await (await ask("/openapi.json", undefined)).json()) as {
      paths: Record<string, { get: { responses: Record<string, object> } }>;
    };
    const documented = Object.keys(document.paths["/v1/authorize/{connection_id}"]?.get.responses ?? {});
    const answered = [
      await ask(`/v1/authorize/${mine}`, key),
      await ask(`/v1/authorize/${theirs}`, key),
      await ask(`/v1/authorize/${mine}`, undefined),
    ].map(({ status }) => String(status));
    expect(answered).toEqual(["200", "403", "401"]);
    expect(documented).toEqual(expect.arrayContaining(answered));
  });

  it("answers the same over plain HTTP", async () => {
    const answer = await ask(`/v1/authorize/${mine}`, key);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("authorization")).toBe("Bearer secret-of-ada");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.text()).toBe("");
    for (const id of [theirs, unknown, "x", "%00", "", "a/b", encodeURIComponent("ü".repeat(500))]) {
      const denied = await ask(`/v1/authorize/${id}`, key);
      expect([denied.status, denied.headers.get("authorization")]).toEqual([403, null]);
    }
    const posted = await ask(`/v1/authorize/${mine}`, key, { method: "POST" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("puts each read on record under the proxy's name", async () => {
    await ask(`/v1/authorize/${mine}`, key);
    const { events } = await world.admin.audit.listAuditEvents({ connectionId: mine });
    const reads = events.filter(({ eventType }) => eventType === "token_retrieved");
    expect(reads.map(({ principal }) => principal)).toContain("key:proxy");
  });

  it("denies with 401 what is revoked", async () => {
    const id = await world.import("ada", "slack");
    expect(statusOf(await check(id, key))).toBe(200);
    await world.admin.connections.revokeConnection({ connectionId: id });
    expect(statusOf(await check(id, key))).toBe(401);
    const denied = await ask(`/v1/authorize/${id}`, key);
    expect([denied.status, denied.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  });
});
