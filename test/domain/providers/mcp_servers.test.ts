import { expect, it } from "vitest";
import { noMcpServers } from "../../../src/domain/providers/mcp_servers.js";
import { daemon } from "../../../src/model/access/principal.js";
import { Unimplemented } from "../../../src/model/errors.js";
import { aProfile } from "../../samples.js";

it("without the extension, uses an existing profile as it is, and makes none", async () => {
  const ofServer = aProfile({ mcpServerUrl: "https://mcp.example/mcp" });
  expect(await noMcpServers.followed(ofServer, "token_refused")).toBe(ofServer);
  expect(await noMcpServers.suspended("mcp")).toBe(false);
  await noMcpServers.deleted(ofServer, 0);
  expect(await noMcpServers.clientDocument("/client-metadata/a.json")).toBeUndefined();
  const refusal = noMcpServers.profileOf("https://mcp.example/mcp", daemon);
  await expect(refusal).rejects.toThrow(Unimplemented);
  await expect(refusal).rejects.toThrow("create the provider with its endpoints and a client");
});
