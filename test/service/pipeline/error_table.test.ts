import { describe, expect, it } from "vitest";
import {
  Aborted,
  AlreadyExists,
  DataLoss,
  FailedPrecondition,
  InvalidArgument,
  NotFound,
  PermissionDenied,
  StoreFailed,
  Unauthenticated,
  Unavailable,
  Unimplemented,
} from "../../../src/model/errors.js";
import { toWireError } from "../../../src/service/pipeline/error_table.js";
import { WireError } from "../../../src/service/pipeline/wire_error.js";

describe("toWireError", () => {
  it.each([
    [new InvalidArgument([{ field: "a", description: "is bad" }]), 3, ["google.rpc.BadRequest"]],
    [new NotFound("connection"), 5, []],
    [new AlreadyExists("taken"), 6, []],
    [new PermissionDenied("no"), 7, []],
    [new FailedPrecondition("ATTENTION_REQUIRED", "ask"), 9, ["google.rpc.ErrorInfo"]],
    [new Aborted("changed"), 10, []],
    [new Unimplemented("later"), 12, []],
    [new Unavailable("soon", 1500), 14, ["google.rpc.RetryInfo"]],
    [new Unavailable("soon"), 14, []],
    [new DataLoss("broken"), 15, []],
    [new Unauthenticated("who"), 16, []],
  ])("%s", (error, code, details) => {
    const wire = toWireError(error);
    expect(wire).toBeInstanceOf(WireError);
    const told = details.map((typeName) => ({ descriptor: { typeName } }));
    expect(wire).toMatchObject({ code, message: error.message, details: told });
  });

  it("tells of errors what fits into trailers, and nothing that steers a terminal", () => {
    const violations = Array.from({ length: 100_000 }, (_, index) => ({
      field: `params["\u001b]0;x\u0007\u202e${index}"]`,
      description: "is bad",
    }));
    const wire = toWireError(new InvalidArgument(violations)) as WireError;
    expect(wire.message.length).toBeLessThan(4_000);
    expect(wire.message).toMatch(
      /^params\["\\u\{1b\}\]0;x\\u\{7\}\\u\{202e\}0"\]: is bad; .*; and \d+ more$/,
    );
    expect(wire.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    const large = { field: "a".repeat(1e6), description: "\n".repeat(1e6) };
    expect((toWireError(new InvalidArgument([large])) as WireError).message.length).toBeLessThan(1_100);
  });

  it("says of a store that failed what its caller can do, and not why", () => {
    const wire = toWireError(
      new StoreFailed("a commit could not be made durable", { cause: new Error("EIO") }),
    );
    expect(wire).toMatchObject({ code: 14, message: expect.stringContaining("look whether") });
    expect((wire as WireError).message).not.toMatch(/EIO|durable/);
  });

  it("leaves what is no answer to a caller as it is", () => {
    const violation = new TypeError("x is not a function");
    expect(toWireError(violation)).toBe(violation);
  });
});
