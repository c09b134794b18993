import { expect, test } from "vitest";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import { sentResource } from "../../src/oauth/token_request.js";

const resource = "https://mcp.example.com/mcp";

test.each([
  ["auto", "https://login.example/token", resource],
  ["auto", "https://login.microsoftonline.com/common/oauth2/v2.0/token", undefined],
  ["auto", "https://login.microsoftonline.us/common/oauth2/v2.0/authorize", undefined],
  ["auto", "https://login.partner.microsoftonline.cn/common/oauth2/v2.0/token", undefined],
  ["auto", "https://login.microsoftonline.com.evil.example/token", resource],
  ["auto", "https://evil-login.microsoftonline.com/token", resource],
  ["always", "https://login.microsoftonline.com/common/oauth2/token", resource],
  ["never", "https://login.example/token", undefined],
] as const)("%s at %s: %s", (resourceParameter, endpoint, expected) => {
  expect(sentResource({ ...plainOAuth2, resource, resourceParameter }, endpoint)).toBe(expected);
});

test("none is sent where none is set", () => {
  for (const resourceParameter of ["auto", "always", "never"] as const) {
    const options = { ...plainOAuth2, resourceParameter };
    expect(sentResource(options, "https://login.example/token")).toBeUndefined();
  }
});
