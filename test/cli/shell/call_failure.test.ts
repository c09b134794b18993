import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { callFailure } from "../../../src/cli/shell/call_failure.js";

it.each([
  [Code.Unauthenticated, "<data-dir>/admin.key, or ask an admin for one: nexusd keys create"],
  [Code.PermissionDenied, "what this key may do: nexusd whoami"],
  [Code.DeadlineExceeded, "the daemon did not answer in time: see its log"],
])("code %i says what to do next", (code, step) => {
  const { message } = callFailure(new ConnectError("no", code), "list the connections", "/run/nexus.sock");
  expect(message.split("\n")).toEqual([
    "cannot list the connections: no",
    expect.stringContaining(step) as string,
  ]);
});

it.each([
  ["find the provider wether", 'provider not found: "wether"', "not found"],
  ["connect to wether", 'provider not found: "wether"', "provider not found"],
  ["find the provider WETHER", 'provider not found: "wether"', 'provider not found: "wether"'],
  ["find the provider the wether", 'provider not found: "wether"', "provider not found"],
  ["revoke the API key ci", 'api key not found: "ci"', "api key not found"],
  ["list the connections", 'provider not found: "wether"', 'provider not found: "wether"'],
  ["find the provider wether", "provider not found", "provider not found"],
])("does not name twice what is not there: %s", (doing, said, told) => {
  const { message } = callFailure(new ConnectError(said, Code.NotFound), doing, "/run/nexus.sock");
  expect(message).toBe(`cannot ${doing}: ${told}`);
});

it("says how to reach a daemon elsewhere where none is reached", () => {
  const refused = Object.assign(new Error("connect ENOENT"), { code: "ENOENT" });
  const failure = new ConnectError("no", Code.Unavailable, undefined, undefined, refused);
  const { message } = callFailure(failure, "list the connections", "/run/nexus.sock");
  expect(message).toContain("(ENOENT): is `nexusd serve` running?\nfor a daemon elsewhere, give --address");
});
