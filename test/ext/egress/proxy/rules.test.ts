import { EventEmitter, once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { daemonRpcs } from "../../../../src/ext/egress/listener/daemon_rpcs.js";
import { type EgressRpcs, SessionCredentials } from "../../../../src/ext/egress/proxy/credentials.js";
import { routeOf } from "../../../../src/ext/egress/proxy/routes.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import {
  type AcquireTokenRequest,
  AcquireTokenResponseSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import type { Connection } from "../../../../src/model/connections/connection.js";
import {
  agent,
  cellsOf,
  nobodyAgrees,
  policyOf,
  proxy,
  type RequestName,
  requests,
  tokenServiceOf,
  wordFor,
} from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perSuite } from "../../../lifetimes.js";
import { credentialFor } from "./egress_world.js";

describe("the requests of a program under rules", () => {
  const engine = perSuite(() => new Engine());
  let connection: Connection;
  beforeAll(async () => {
    connection = await engine.connected();
  });

  async function send(name: RequestName, principal = proxy, whole?: () => undefined, knowsRules = false) {
    const { userId, providerName } = connection;
    engine.approver = nobodyAgrees;
    const credentials = new SessionCredentials({
      ...{
        rpcs: daemonRpcs([tokenServiceOf(engine)], principal),
        userId,
        waitsForConsent: false,
        onConsent: () => undefined,
        ...(knowsRules && { isJudged: (name: string) => engine.rules.looksAt(principal, name) }),
      },
    });
    const { method, target, headers, body } = requests[name];
    const route = routeOf(create(ProviderSchema, { name: providerName }), "");
    const shown = { origin: { host: "api.example", port: 443 }, method, target, headers };
    const wholeBody = async () => (whole ? whole() : Buffer.from(body));
    return await credentialFor(credentials, route, shown, wholeBody);
  }

  it.each(cellsOf("all"))("$rules, $request: $expected", async ({ rules, request, expected }) => {
    engine.access.setPolicy(policyOf(rules));
    expect(await wordFor(send(request))).toBe(expected);
  });

  it.each(cellsOf("all"))(
    "$rules, $request: $expected, where the proxy knows whether a rule goes by it",
    async ({ rules, request, expected }) => {
      engine.access.setPolicy(policyOf(rules));
      expect(await wordFor(send(request, proxy, undefined, true))).toBe(expected);
    },
  );

  it("are answered 403 with the line of the rule", async () => {
    engine.access.setPolicy(policyOf("[{ then: deny, because: not today }]"));
    await expect(send("read")).rejects.toMatchObject({
      ...{ status: 403, kind: "denied-by-rule" },
      detail: expect.stringMatching(/ line 3 .*: not today$/),
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

const bearer = {
  strategy: { kind: { case: "oauth2" as const, value: { credentialField: "access_token" } } },
};

describe("the token of a request that no rule goes by", () => {
  const token = create(AcquireTokenResponseSchema, { result: { case: "token", value: bearer } });
  const route = routeOf(create(ProviderSchema, { name: "acme" }), "");
  const own = { origin: { host: "api.example", port: 443 }, method: "DELETE", target: "/v1/a", headers: {} };

  function asking(isJudged: () => boolean) {
    const shown: AcquireTokenRequest[] = [];
    const waiting = new EventEmitter();
    const rpcs = {
      acquireToken: async (request: AcquireTokenRequest) => {
        shown.push(request);
        await once(waiting, "go");
        return token;
      },
    } as unknown as EgressRpcs;
    const onConsent = () => undefined;
    const credentials = new SessionCredentials({
      rpcs,
      userId: "ada",
      waitsForConsent: false,
      onConsent,
      isJudged,
    });
    const ask = () => credentialFor(credentials, route, own);
    return { shown, ask, answer: () => waiting.emit("go") };
  }

  it("is asked for by one frozen message that shows none", async () => {
    const { shown, ask, answer } = asking(() => false);
    const both = [ask(), ask()];
    answer();
    await Promise.all(both);
    expect(new Set(shown).size).toBe(1);
    expect(shown[0]).toMatchObject({ providerName: "acme", userId: "ada", request: { method: "UNSHOWN" } });
    expect([shown[0], shown[0]?.request].every(Object.isFrozen)).toBe(true);
  });

  it("is asked for again with the request where a rule came meanwhile", async () => {
    let isJudged = false;
    const { shown, ask, answer } = asking(() => isJudged);
    const asked = ask();
    isJudged = true;
    answer();
    await vi.waitFor(() => expect(shown[1]?.request?.method).toBe("DELETE"));
    answer();
    await asked;
  });
});
