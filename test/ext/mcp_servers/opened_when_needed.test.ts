import { describe, expect, it } from "vitest";
import { type McpProfiles, OpenedWhenNeeded } from "../../../src/ext/mcp_servers/opened_when_needed.js";
import { daemon } from "../../../src/model/access/principal.js";
import { aProfile } from "../../samples.js";

const registration = {
  kind: "dynamic",
  issuer: "https://as.example",
  registeredAtMs: 1,
  secretExpiresAtMs: undefined,
  configurationUrl: undefined,
  accessToken: undefined,
} as const;
const plain = aProfile();
const ofServer = aProfile({ mcpServerUrl: "https://mcp.example/mcp", registration });

/** What the core asks while `stored` is the profile of every name, and how often the extension was opened. */
function servers(stored = plain) {
  const asked: unknown[] = [];
  let opened = 0;
  const profiles: McpProfiles = {
    profileOf: async () => ofServer,
    followed: async (profile, occasion) => {
      asked.push(occasion);
      return { ...profile, version: profile.version + 1n };
    },
    suspended: async () => true,
    deleted: async (_, remaining) => void asked.push(remaining),
    clientDocument: (redirectPath) => ({ redirectPath }),
  };
  const open = async () => {
    opened++;
    return profiles;
  };
  const parts = { store: { findProviderByName: () => stored } };
  return { mcp: new OpenedWhenNeeded(open, parts as never), asked, opened: () => opened };
}

describe("profiles of MCP servers", () => {
  it("loads nothing for providers that are not MCP servers", async () => {
    const { mcp, opened } = servers();
    expect(await mcp.followed(plain, "consent_requested")).toBe(plain);
    expect(await mcp.suspended("github")).toBe(false);
    await mcp.deleted(plain, 1);
    expect(await mcp.clientDocument("/healthz")).toBeUndefined();
    expect(opened()).toBe(0);
  });

  it("opens the extension once, and passes everything about an MCP server to it", async () => {
    const { mcp, asked, opened } = servers(ofServer);
    expect((await mcp.followed(ofServer, "browser_sent")).version).toBe(ofServer.version + 1n);
    expect(await mcp.suspended("mcp")).toBe(true);
    await mcp.deleted(ofServer, 2);
    expect(await mcp.clientDocument("/client-metadata/a.json")).toEqual({ redirectPath: "/auth/callback/a" });
    expect(await mcp.profileOf("https://mcp.example/mcp", daemon)).toBe(ofServer);
    expect([asked, opened()]).toEqual([["browser_sent", 2], 1]);
  });
});
