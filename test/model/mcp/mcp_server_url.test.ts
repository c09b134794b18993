import { expect, test } from "vitest";
import { canonicalMcpServerUrl } from "../../../src/model/mcp/mcp_server_url.js";

test.each([
  ["https://mcp.example.com/mcp", "https://mcp.example.com/mcp"],
  [" HTTPS://MCP.Example.com:443/Mcp ", "https://mcp.example.com/Mcp"],
  ["https://mcp.example.com/", "https://mcp.example.com"],
  ["https://mcp.example.com", "https://mcp.example.com"],
  ["https://mcp.example.com/mcp/", "https://mcp.example.com/mcp/"],
  ["https://mcp.example.com:8443/?tenant=a", "https://mcp.example.com:8443/?tenant=a"],
  ["http://localhost:3000/mcp", "http://localhost:3000/mcp"],
  ["http://[::1]:3000/mcp", "http://[::1]:3000/mcp"],
  ["http://mcp.example.com/mcp", undefined],
  ["https://user@mcp.example.com/mcp", undefined],
  ["https://mcp.example.com/mcp#a", undefined],
  ["https://mcp.example.com/a\nb", undefined],
  ["https://mcp.example.com\\@evil.example/", undefined],
  ["mcp.example.com", undefined],
  ["ftp://mcp.example.com/", undefined],
  ["", undefined],
  [`https://mcp.example.com/${"a".repeat(2_048)}`, undefined],
])("%j is canonically %j", (text, canonical) => {
  expect(canonicalMcpServerUrl(text)).toBe(canonical);
});
