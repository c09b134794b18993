import { describe, expect, test } from "vitest";
import {
  FailedAuthentications,
  limitedAuthenticate,
} from "../../../src/server/callers/failed_authentications.js";
import { addressKey } from "../../../src/server/sockets/socket_guard.js";
import { RateLimiter } from "../../../src/service/pipeline/rate_limiter.js";
import { codes } from "../../../src/service/pipeline/wire_error.js";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["192.0.2.1:4711", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"],
  ["::1", "::1"],
  ["unix", undefined],
  [undefined, undefined],
])("the address of %s counts as %s", (origin, key) => {
  expect(addressKey(origin)).toBe(key);
});

describe("failed authentications", () => {
  const admin = { name: "admin", kind: "key" } as const;
  const authenticateWith = () =>
    limitedAuthenticate(
      ({ token }) => (token === "right" ? admin : undefined),
      new FailedAuthentications({ perSecond: 0.01, burst: 2 }),
    );
  const shown = (token: string | undefined, origin: string) => ({ socket: "tcp", token, origin }) as const;

  test("beyond loopback an address with too many is refused, its right key as well", () => {
    const authenticate = authenticateWith();
    expect(authenticate(shown("right", "192.0.2.1"))).toBe(admin);
    for (let i = 0; i < 2; i++) expect(authenticate(shown("wrong", "192.0.2.1"))).toBeUndefined();
    const refused = expect.objectContaining({ code: codes.resource_exhausted });
    expect(() => authenticate(shown("wrong", "192.0.2.1"))).toThrow(refused);
    expect(() => authenticate(shown("right", "192.0.2.1"))).toThrow(refused);
    expect(authenticate(shown("right", "192.0.2.2"))).toBe(admin);
  });

  test("who shows nothing tries nothing", () => {
    const authenticate = authenticateWith();
    for (let i = 0; i < 9; i++) expect(authenticate(shown(undefined, "192.0.2.1"))).toBeUndefined();
    expect(authenticate(shown("right", "192.0.2.1"))).toBe(admin);
  });
});

test("a limiter forgets the key that rested longest, and so stays within its size", () => {
  const limiter = new RateLimiter({ perSecond: 0.01, burst: 1 }, 3);
  for (const key of ["a", "b", "c", "a"]) limiter.take(key);
  limiter.take("d");
  expect(limiter.size).toBe(3);
  expect(limiter.has("a")).toBe(false);
  expect(limiter.has("b")).toBe(true);
});
