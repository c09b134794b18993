import { expect, it } from "vitest";
import type { Principal } from "../../../src/model/access/principal.js";
import { onBehalf } from "../../../src/server/callers/on_behalf.js";

const spoke: Principal = { name: "cert:spoke", kind: "certificate", origin: "10.0.0.7:4711" };
const field = (text: string): string => Buffer.from(text, "utf8").toString("base64url");

it("says in the origin for whom a principal calls, and that it came through it, and changes nothing else of it", () => {
  expect(onBehalf(spoke, field("key:ci"))).toEqual({
    ...spoke,
    origin: "10.0.0.7:4711 for key:ci",
    via: ["cert:spoke"],
  });
  expect(onBehalf({ name: "owner", kind: "owner" }, field("uid:7")).origin).toBe("unknown for uid:7");
});

it.each([
  ["nothing", "", ""],
  ["what is no base64url", "***", ""],
  ["lines", field("a\nb\u2028c"), " for abc"],
  ["what turns a text around", field("a\u202eb"), " for ab"],
  ["a long text", field("x".repeat(5_000)), ` for ${"x".repeat(256)}`],
])("takes %s for what it is", (_, text, more) => {
  const via = more === "" ? {} : { via: ["cert:spoke"] };
  expect(onBehalf(spoke, text)).toEqual({ ...spoke, origin: `10.0.0.7:4711${more}`, ...via });
});
