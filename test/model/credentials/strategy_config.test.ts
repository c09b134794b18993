import { describe, expect, it } from "vitest";
import type { Strategy } from "../../../src/model/credentials/strategy.js";
import { strategyConfig, strategyOfConfig } from "../../../src/model/credentials/strategy_config.js";

const strategies: Strategy[] = [
  { kind: "oauth2", headerName: "X-Token", valuePrefix: "", credentialField: "access_token" },
  { kind: "header", headerName: "X-Key", valuePrefix: "Key ", credentialField: "key" },
  { kind: "query_param", paramName: "key", credentialField: "api_key" },
  { kind: "basic_auth", usernameField: "login", passwordField: "token" },
  { kind: "aws_sigv4", service: "s3", region: "eu-central-1" },
  { kind: "hmac_payload", headerName: "X-Sig", secretField: "secret", algo: "sha512", encoding: "base64" },
];

describe("strategy and config", () => {
  it.each(strategies.map((strategy) => [strategy.kind, strategy] as const))(
    "carry %s both ways",
    (kind, strategy) => {
      expect(strategyOfConfig(kind, strategyConfig(strategy))).toEqual(strategy);
    },
  );

  it.each([
    ["oauth2", { header_name: "Authorization", value_prefix: "Bearer ", credential_field: "access_token" }],
    ["header", { header_name: "Authorization", value_prefix: "", credential_field: "api_key" }],
    ["query_param", { param_name: "", credential_field: "api_key" }],
    ["basic_auth", { username_field: "username", password_field: "password" }],
    ["aws_sigv4", { service: "", region: "us-east-1" }],
    ["hmac_payload", { header_name: "", secret_field: "api_secret", algo: "sha256", encoding: "hex" }],
  ])("give %s the defaults of the contract", (kind, expected) => {
    const strategy = strategyOfConfig(kind, {});
    expect(strategy && strategyConfig(strategy)).toEqual(expected);
  });

  it("do not know another kind, nor what an object inherits", () => {
    expect(strategyOfConfig("bearer", {})).toBeUndefined();
    expect(strategyOfConfig("constructor", {})).toBeUndefined();
  });
});
