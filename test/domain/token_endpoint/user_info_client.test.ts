import { expect, it } from "vitest";
import { UserInfoClient } from "../../../src/domain/token_endpoint/user_info_client.js";
import type { Strategy } from "../../../src/model/credentials/strategy.js";
import type { OutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { aProfile, nowMs } from "../../samples.js";
import { tokenSet } from "../engine.js";

const basic = {
  kind: "basic_auth",
  usernameField: "username",
  passwordField: "password",
} as unknown as Strategy;
const oauth2 = aProfile().strategy;

it.each([
  ["a strategy that needs what no token has", basic, "secret-token"],
  ["a token that no header can hold", oauth2, "secret-token\u0000"],
])("loses no consent to %s", async (_name, strategy, token) => {
  const lines: unknown[] = [];
  const note = (...line: unknown[]) => void lines.push(line);
  const log = { debug: note, info: note, warn: note, error: note };
  const outbound = (async () => new Response('{"sub":"1"}')) as unknown as OutboundFetch;
  const client = new UserInfoClient({ outbound, clock: new ManualClock(nowMs), log });
  const profile = aProfile({ userInfoEndpoint: "https://op.example/userinfo", strategy });
  expect(await client.accountOf(profile, tokenSet({ accessToken: new Secret(token) }))).toBeUndefined();
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(lines)).not.toContain("secret-token");
});
