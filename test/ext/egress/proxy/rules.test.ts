import { create } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { Credentials } from "../../../../src/ext/egress/proxy/credentials.js";
import { routeOf } from "../../../../src/ext/egress/proxy/routes.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import type { Connection } from "../../../../src/model/connections/connection.js";
import {
  agent,
  cellsOf,
  nobodyAgrees,
  policyOf,
  proxy,
  type RequestName,
  requests,
  sessionFor,
  wordFor,
} from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perSuite } from "../../../lifetimes.js";

describe("the requests of a program under rules", () => {
  const engine = perSuite(() => new Engine());
  let connection: Connection;
  beforeAll(async () => {
    connection = await engine.connected();
  });

  async function send(name: RequestName, principal = proxy, whole?: () => undefined) {
    const { userId, providerName } = connection;
    engine.rules.askApprovers = nobodyAgrees;
    const credentials = new Credentials({
      ...{
        session: sessionFor(engine, principal),
        userId,
        waitsForConsent: false,
        onConsent: () => undefined,
      },
    });
    const { method, target, headers, body } = requests[name];
    const route = routeOf(create(ProviderSchema, { name: providerName }), "");
    const shown = { origin: { host: "api.example", port: 443 }, method, target, headers };
    return await credentials.token(route, shown, async () => (whole ? whole() : Buffer.from(body)));
  }

  it.each(cellsOf("all"))("$rules, $request: $expected", async ({ rules, request, expected }) => {
    engine.access.setPolicy(policyOf(rules));
    expect(await wordFor(send(request))).toBe(expected);
  });

  it("are answered 403 with the line of the rule", async () => {
    engine.access.setPolicy(policyOf("[{ then: deny, because: not today }]"));
    await expect(send("read")).rejects.toMatchObject({
      ...{ status: 403, kind: "denied-by-rule" },
      detail: expect.stringContaining("the rule in line 3 of the policy file denies this request: not today"),
    });
  });

  it("are answered 403 where the caller is no proxy", async () => {
    engine.access.setPolicy(policyOf(`[{ when: 'request.method == "GET"', then: allow }]`));
    await expect(send("read", agent)).rejects.toMatchObject({ status: 403, kind: "denied-by-rule" });
  });

  it("are answered 413 when a rule goes by a body that is too long", async () => {
    engine.access.setPolicy(policyOf("[{ then: ask }]"));
    await expect(send("write", proxy, () => undefined)).rejects.toMatchObject({ status: 413 });
  });
});
