import { expect, test } from "vitest";
import { canonicalMcpServerUrl, nameOfMcpServer } from "../../../src/model/mcp/mcp_server_url.js";

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

test.each([
  ["https://mcp.example.com/mcp", "mcp-example-com"],
  ["http://localhost:3000/mcp", "localhost-3000"],
  ["http://[::1]/mcp", "1"],
  [`https://${"a".repeat(54)}.${"b".repeat(20)}.example/`, "a".repeat(54)],
  ["https://xn--bcher-kva.example", "xn-bcher-kva-example"],
])("the profile of %s is called %s", (url, name) => {
  expect(nameOfMcpServer(url)).toBe(name);
});
