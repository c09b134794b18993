import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { snippetsOf } from "../../../../src/ext/console/connections/connection.js";
import { ConnectionSchema } from "../../../../src/gen/nexus/v1/connection_pb.js";

const of = (fields: Partial<Record<"id" | "userId" | "providerName" | "label", string>>) =>
  new Map(
    snippetsOf(create(ConnectionSchema, { id: "an-id", providerName: "acme", userId: "ada", ...fields })),
  );

it("names the connection in each way of using it", () => {
  const snippets = of({ label: "work" });
  expect([...snippets.keys()]).toEqual(["Command line", "Python", "TypeScript", "Go", "curl", "Proxy"]);
  expect(snippets.get("Command line")).toMatch(/^nexusd token acme\/ada\/work\n/);
  expect(snippets.get("Python")).toContain('nexus.acquire("acme", user="ada", label="work"');
  expect(snippets.get("Go")).toContain('"acme", "ada", nexus.Label("work"))');
  expect(snippets.get("curl")).toContain(`-d '{"provider_name":"acme","user_id":"ada","label":"work"}'`);
  expect(snippets.get("Proxy")).toContain("/v1/authorize/acme/ada/work");
});

it("quotes a name that a shell or a program would read as something else", () => {
  const userId = `a'; rm -rf / #"\\`;
  const snippets = of({ userId });
  expect(snippets.get("Command line")).toMatch(/^nexusd token an-id\n/);
  expect(snippets.get("Python")).toContain(`user=${JSON.stringify(userId)}`);
  expect(snippets.get("curl")).toContain(`"user_id":"a'\\''; rm -rf / #`);
  expect(of({ userId: "$(id)" }).get("Command line")).toMatch(/^nexusd token 'acme\/\$\(id\)'\n/);
  expect(snippets.get("Proxy")).toContain("/v1/authorize/an-id");
});
