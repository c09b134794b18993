import { describe, expect, it } from "vitest";
import {
  assertTransition,
  type ConnectionStatus,
  connectionStatuses,
  hasUsableToken,
} from "../../../src/model/connections/connection.js";
import { aConnection } from "../../samples.js";

describe("transitions", () => {
  const allowed: Record<ConnectionStatus, ConnectionStatus[]> = {
    pending: ["pending", "active", "attention", "failed", "expired", "revoked"],
    active: ["active", "attention", "revoked"],
    attention: ["attention", "active", "revoked"],
    failed: ["failed", "active", "attention", "pending", "revoked"],
    expired: ["expired", "active", "attention", "pending", "revoked"],
    revoked: ["revoked"],
  };
  for (const from of connectionStatuses) {
    for (const to of connectionStatuses) {
      const fine = allowed[from].includes(to);
      it(`${fine ? "allow" : "forbid"} ${from} to ${to}`, () => {
        if (fine) expect(() => assertTransition(from, to)).not.toThrow();
        else expect(() => assertTransition(from, to)).toThrow(`no transition from ${from} to ${to}`);
      });
    }
  }
});

describe("hasUsableToken", () => {
  it.each([
    ["active before its expiry", { status: "active", credentialRevision: 1n, expiresAtMs: 1001 }, true],
    ["active at its expiry", { status: "active", credentialRevision: 1n, expiresAtMs: 1000 }, false],
    ["active without an expiry", { status: "active", credentialRevision: 1n }, true],
    [
      "active, of a machine that had no token yet, after the clock went back",
      { status: "active", credentialRevision: 0n, expiresAtMs: 1001 },
      false,
    ],
    [
      "attention before its expiry",
      { status: "attention", credentialRevision: 1n, expiresAtMs: 1001 },
      false,
    ],
    ["pending", { status: "pending" }, false],
    ["revoked", { status: "revoked" }, false],
  ] as const)("for a connection that is %s", (_name, change, expected) => {
    expect(hasUsableToken(aConnection({ id: "c", ...change }), 1000)).toBe(expected);
  });
});
