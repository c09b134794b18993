import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.js";
import { defaultLimits } from "../../src/model/limits.js";

function limitsOf(env: Record<string, string>) {
  return loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }).limits;
}

test("each limit has its default, and off where it can be", () => {
  expect(limitsOf({})).toEqual(defaultLimits);
  const off = limitsOf({
    NEXUS_RATE_LIMIT: "off",
    NEXUS_BROWSER_RATE_LIMIT: "OFF",
    NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE: "off",
    NEXUS_IDLE_TIMEOUT_SECONDS: "off",
  });
  expect([off.rate, off.browserRate, off.failedAuthenticationRate, off.idleTimeoutMs]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test("a burst is a second of calls unless it is said", () => {
  expect(limitsOf({ NEXUS_RATE_LIMIT: "20" }).rate).toEqual({ perSecond: 20, burst: 20 });
  expect(limitsOf({ NEXUS_RATE_LIMIT: "20", NEXUS_RATE_BURST: "50" }).rate).toEqual({
    perSecond: 20,
    burst: 50,
  });
});

test.each([
  ["NEXUS_MAX_MESSAGE_BYTES", "1024", "from 65536 to 67108864"],
  ["NEXUS_MAX_HEADER_BYTES", "1e4", "from 4096 to 65536"],
  ["NEXUS_MAX_CONNECTIONS", "0", "from 1 to 1000000"],
  ["NEXUS_MAX_CONNECTIONS", "off", "from 1 to 1000000"],
  ["NEXUS_RATE_LIMIT", "-1", "from 1 to 1000000, or off"],
])("%s=%s is refused with its range", (name, value, range) => {
  expect(() => limitsOf({ [name]: value })).toThrow(
    `${name}: got "${value}": must be a whole number ${range}`,
  );
});
