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
