import { expect, test } from "vitest";
import { ConnectionNames } from "../../../src/domain/access/connection_names.js";
import { RequestGate } from "../../../src/domain/access/request_gate.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import { newId } from "../../../src/model/ids.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";

const engine = perTest(() => new Engine());
const mailer = { name: "jwt:system:serviceaccount:team:mailer", kind: "jwt" } as const;
const policy = `bindings:
  - principals: ["jwt:system:serviceaccount:*"]
    role: agent
    user_ids: ["{namespace}"]
    labels: ["{serviceaccount}"]
`;

test("a service account sees and requests the connections with its label alone", async () => {
  const profile = await engine.provider("op");
  const own = { ...(await engine.connection(profile)), userId: "team", label: "mailer" };
  const others = { ...own, id: newId(), label: "crawler" };
  await engine.store.commit((tx) => {
    for (const each of [own, others]) tx.putConnection(each);
  });
  const { store, access } = engine;
  access.setPolicy(readPolicy(policy));
  const permissions = access.permissionsFor(mailer);
  const names = new ConnectionNames({ store, access, changes: engine.changes });
  const gate = new RequestGate({ access, names, store, mcpNames: { find: () => undefined } });
  const name = { providerName: "op", userId: "team" };
  const seen = [own, others].map((each) => access.visible(permissions, each.id)?.connectionId);
  expect(seen).toEqual([own.id, undefined]);
  expect([own, others].map((each) => access.viewOf(mailer).seesConnection(each))).toEqual([true, false]);
  const acquired = (label: string) =>
    gate.refusal(permissions, "token.read", { kind: "acquired", name: { ...name, label }, mcpServerUrl: "" });
  const asked = {
    kind: "request",
    connectionId: undefined,
    userId: "team",
    provider: { name: "op" },
  } as const;
  const requested = (label: string) => gate.refusal(permissions, "connection.request", { ...asked, label });
  for (const refusal of [acquired, requested]) {
    expect(refusal("mailer")).toBeUndefined();
    for (const label of ["crawler", "new", ""]) expect(refusal(label)?.kind).toBe("permission_denied");
  }
});
