import { beforeAll, describe, expect, it } from "vitest";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { requestDescription } from "../../../src/service/messages/request_description.js";
import { perSuite } from "../../lifetimes.js";
import { Engine } from "../engine.js";
import {
  agent,
  callToken,
  cellsOf,
  nobodyAgrees,
  policyOf,
  proxy,
  type RequestName,
  requests,
  wordFor,
} from "./rule_cells.js";

describe("the calls of the daemon under rules of requests", () => {
  const engine = perSuite(() => new Engine());
  let connection: Connection;
  beforeAll(async () => {
    connection = await engine.connected();
  });
  const { getToken, acquireToken } = TokenService.method;

  async function ask(
    method: typeof getToken | typeof acquireToken,
    principal: Principal,
    shown?: RequestName,
  ): Promise<unknown> {
    const { id, userId, providerName } = connection;
    engine.approver = nobodyAgrees;
    const which = method === getToken ? { connectionId: id } : { providerName, userId };
    return callToken(engine, method, { ...which, ...(shown && { request: shownOf(shown) }) }, principal);
  }

  it.each(cellsOf("nothing"))(
    "streams and new tokens without a request under $rules: $expected",
    async ({ rules, expected }) => {
      engine.access.setPolicy(policyOf(rules));
      expect(engine.rules.tokenView(agent).seesConnection(connection)).toBe(expected === "allow");
      expect(await wordFor(Promise.resolve(engine.tokens.admitted(agent, connection.id)))).toBe(expected);
    },
  );

  describe.each([getToken, acquireToken])("$name", (method) => {
    it.each(cellsOf("nothing"))("without a request under $rules: $expected", async ({ rules, expected }) => {
      engine.access.setPolicy(policyOf(rules));
      expect(await wordFor(ask(method, agent))).toBe(expected);
    });

    it.each(cellsOf("nothing"))(
      "does not believe an agent under $rules, $request: $expected",
      async ({ rules, request, expected }) => {
        engine.access.setPolicy(policyOf(rules));
        expect(await wordFor(ask(method, agent, request))).toBe(expected);
      },
    );

    it.each(cellsOf("all"))(
      "with the whole request of a proxy under $rules, $request: $expected",
      async ({ rules, request, expected }) => {
        engine.access.setPolicy(policyOf(rules));
        expect(await wordFor(ask(method, proxy, request))).toBe(expected);
      },
    );
  });
});

/** As `call_api` and egress show it. */
function shownOf(name: RequestName) {
  const { method, target, headers, body } = requests[name];
  const url = `https://api.example${target}`;
  const sent = { method, url, headers, body: Buffer.from(body) };
  return requestDescription({ ...sent, session: "", repeats: false });
}
