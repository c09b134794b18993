import { connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { AccessService, RestrictionSchema, Role } from "../../src/gen/nexus/v1/access_pb.js";
import { perTest } from "../lifetimes.js";
import { failureOf } from "./errors.js";
import { TestDaemon } from "./harness.js";

const none = /^this address asks for an API key, and none was sent: send it as /;
const invalid = /^the API key or token that was sent is not valid: it is wrong, or was revoked or expired/;

describe("a key that is not valid", () => {
  const daemon = perTest(() => TestDaemon.start());

  /** What each door says to these headers. */
  async function answersTo(headers: Record<string, string>): Promise<string[]> {
    const { place } = daemon;
    const url = place.httpUrl;
    const texts: string[] = [];
    for (const path of ["/v1/audit", "/v1/authorize/op/ada"]) {
      const answer = await fetch(`${url}${path}`, { headers });
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      texts.push(((await answer.json()) as { message: string }).message);
    }
    const body = JSON.stringify({});
    const type = { "content-type": "application/json" };
    const rpc = `${url}/nexus.v1.AccessService/WhoAmI`;
    const json = await fetch(rpc, { method: "POST", headers: { ...headers, ...type }, body });
    texts.push(((await json.json()) as { message: string }).message);
    const access = createClient(AccessService, createGrpcTransport({ baseUrl: url }));
    texts.push((await failureOf(access.whoAmI({}, { headers }))).message);
    return texts;
  }

  it("is told from none, at every door, whatever is wrong with it, and is logged once a minute", async () => {
    const { clients, place, clock } = daemon;
    const restriction = create(RestrictionSchema, { userIds: ["ada"] });
    const given = { role: Role.AGENT, restriction };
    const revoked = await clients.access.createApiKey({ ...given, name: "revoked" });
    await clients.access.revokeApiKey({ key: { case: "name", value: "revoked" } });
    const expiresAt = timestampFromMs(clock.nowMs() + 60_000);
    const expired = await clients.access.createApiKey({ ...given, name: "expired", expiresAt });
    clock.advance(61_000);
    for (const text of await answersTo({})) expect(text).toMatch(none);
    expect(place.logLines.join("")).not.toContain("credential refused");
    for (const key of [revoked.key, expired.key, "nxk_wrong", "x"]) {
      for (const text of await answersTo({ authorization: `Bearer ${key}` })) expect(text).toMatch(invalid);
    }
    for (const text of await answersTo({ "x-api-key": "wrong" })) expect(text).toMatch(invalid);
    const createConnection = () => connect(place.socket);
    const transport = createGrpcTransport({ baseUrl: "http://localhost", nodeOptions: { createConnection } });
    const overSocket = createClient(AccessService, transport).whoAmI(
      {},
      { headers: { "x-api-key": "wrong" } },
    );
    expect((await failureOf(overSocket)).message).toMatch(invalid);
    const lines = place.logLines.filter((line) => line.includes("credential refused"));
    expect(lines.map((line) => (JSON.parse(line) as { origin: string }).origin.replace(/:\d+$/, ""))).toEqual(
      ["127.0.0.1", "unix"],
    );
    for (const key of [revoked.key, expired.key]) expect(lines.join("")).not.toContain(key);
  });
});
