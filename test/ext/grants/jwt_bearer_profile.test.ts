import { expect, test } from "vitest";
import { grantViolations } from "../../../src/domain/token_endpoint/grant_types.js";
import { jwtBearerType } from "../../../src/ext/grants/jwt_bearer.js";
import { providerViolations } from "../../../src/model/providers/provider_profile.js";
import { plainSettings } from "../../samples.js";

const bearer = {
  ...{ ...plainSettings, grantType: "jwt_bearer" as const, tokenUrl: "https://op.example/token" },
  scopes: ["read"],
};
function fieldsOf(change: Partial<typeof plainSettings>, hasSecret: boolean): string[] {
  const settings = { ...bearer, ...change };
  return [...providerViolations(settings, hasSecret), ...grantViolations(settings, jwtBearerType)].map(
    ({ field }) => field.replace("provider.", ""),
  );
}

test.each<[what: string, change: Partial<typeof plainSettings>, hasSecret: boolean, fields: string[]]>([
  ["a key as its secret", {}, true, []],
  ["no key", {}, false, ["client_secret"]],
  [
    "a secret in the body and the key in a file",
    { tokenEndpointAuthMethod: "client_secret_post", clientKeySource: "robot" },
    true,
    [],
  ],
  [
    "a secret by Basic and the JWT in a file",
    { tokenEndpointAuthMethod: "client_secret_basic", clientAssertionSource: "pod" },
    true,
    [],
  ],
  [
    "a file and no secret",
    { tokenEndpointAuthMethod: "client_secret_post", clientKeySource: "robot" },
    false,
    ["client_secret"],
  ],
  [
    "a secret and no JWT",
    { tokenEndpointAuthMethod: "client_secret_post" },
    true,
    ["token_endpoint_auth_method"],
  ],
  [
    "a key in a file and another as its secret",
    { tokenEndpointAuthMethod: "none", clientKeySource: "robot" },
    true,
    ["client_secret"],
  ],
  [
    "a secret that signs, which is nothing that servers know here",
    { tokenEndpointAuthMethod: "client_secret_jwt", clientKeySource: "robot" },
    true,
    ["token_endpoint_auth_method", "client_secret"],
  ],
])("a profile of JWT bearer with %s", (_what, change, hasSecret, fields) => {
  expect(fieldsOf(change, hasSecret).sort()).toEqual(fields.sort());
});
