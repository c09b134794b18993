import { expect, it } from "vitest";
import { noMcpLookup } from "../../../src/domain/profiles/mcp_lookup.js";
import { daemon } from "../../../src/model/access/principal.js";
import { Unimplemented } from "../../../src/model/errors.js";
import { aProfile } from "../../samples.js";

it("without the extension, uses an existing profile as it is, and makes none", async () => {
  const ofServer = aProfile({ mcpServerUrl: "https://mcp.example/mcp" });
  expect(await noMcpLookup.followed(ofServer, "token_refused")).toBe(ofServer);
  expect(await noMcpLookup.suspended("mcp")).toBe(false);
  await noMcpLookup.deleted(ofServer, 0);
  expect(await noMcpLookup.clientDocument("/client-metadata/a.json")).toBeUndefined();
  const refusal = noMcpLookup.profileOf("https://mcp.example/mcp", daemon);
  await expect(refusal).rejects.toThrow(Unimplemented);
  await expect(refusal).rejects.toThrow("create the provider with its endpoints and a client");
});
