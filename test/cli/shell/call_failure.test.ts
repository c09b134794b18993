import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { callFailure } from "../../../src/cli/shell/call_failure.js";
import { unauthenticatedMessage } from "../../../src/server/callers/request_headers.js";

it.each([
  [Code.Unauthenticated, "admin.key in its data folder, others are made by nexusd keys create"],
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

it.each([
  [[], "this address asks for an API key, and none was sent"],
  [["Bearer nxk_x"], /was sent is not valid: .* its lease was not renewed$/],
])("tells no header to whom a command sends it", (sent, says) => {
  const failure = new ConnectError(unauthenticatedMessage(...sent), Code.Unauthenticated);
  const [first] = callFailure(failure, "list the keys", "http://127.0.0.1:8090").message.split("\n");
  expect(first).toMatch(says);
  expect(first).not.toContain("Bearer");
});

it("says how to reach a daemon elsewhere where none is reached", () => {
  const refused = Object.assign(new Error("connect ENOENT"), { code: "ENOENT" });
  const failure = new ConnectError("no", Code.Unavailable, undefined, undefined, refused);
  const { message } = callFailure(failure, "list the connections", "/run/nexus.sock");
  expect(message).toContain("(ENOENT): is `nexusd serve` running?\nfor a daemon elsewhere, give --address");
});
