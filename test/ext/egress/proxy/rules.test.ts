import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { callFailure } from "../../../../src/cli/shell/call_failure.js";
import type { DaemonSession } from "../../../../src/cli/shell/daemon_command.js";
import { Credentials } from "../../../../src/ext/egress/proxy/credentials.js";
import { routeOf } from "../../../../src/ext/egress/proxy/routes.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { TokenService } from "../../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import { toConnectError } from "../../../../src/server/connect/connect_binding.js";
import { toWireError } from "../../../../src/service/pipeline/error_table.js";
import type { WireError } from "../../../../src/service/pipeline/wire_error.js";
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
} from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";

describe("the requests of a program under rules", () => {
  const engine = perTest(() => new Engine());
  const sessionOf = (principal: Principal): DaemonSession => {
    const acquireToken = (request: Record<string, unknown>) =>
      callToken(engine, TokenService.method.acquireToken, request, principal);
    const call = async (doing: string, method: (request: object) => Promise<unknown>, request: object) => {
      try {
        return await method(request);
      } catch (error) {
        throw callFailure(toConnectError(toWireError(error) as WireError), doing, "the test");
      }
    };
    return { daemon: { tokens: { acquireToken } }, call } as unknown as DaemonSession;
  };

  async function send(name: RequestName, principal = proxy, whole?: () => undefined) {
    const { userId, providerName } = await engine.connected();
    engine.rules.askApprovers = nobodyAgrees;
    const credentials = new Credentials({
      ...{ session: sessionOf(principal), userId, waitsForConsent: false, onConsent: () => undefined },
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
