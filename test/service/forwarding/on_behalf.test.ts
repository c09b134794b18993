import { create, toBinary } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { expect, it } from "vitest";
import { OnBehalfOfSchema } from "../../../src/gen/nexus/fleet/v1/on_behalf_pb.js";
import { RestrictionSchema } from "../../../src/gen/nexus/v1/access_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import { InvalidArgument } from "../../../src/model/errors.js";
import { onBehalf, onBehalfField } from "../../../src/service/forwarding/on_behalf.js";

const spoke: Principal = { name: "cert:spoke", kind: "certificate", origin: "10.0.0.7:4711" };
const field = (name: string): string => onBehalfField({ name, restrictions: [] });

it("says for whom a principal calls, how that one is restricted, and that it came through the principal", () => {
  const onBehalfOf = { name: "key:ci", restrictions: [{ userIds: ["ada"] }, { connectionIds: ["c"] }] };
  expect(onBehalf(spoke, onBehalfField(onBehalfOf))).toEqual({
    ...spoke,
    origin: "10.0.0.7:4711 for key:ci",
    via: ["cert:spoke"],
    onBehalfOf,
  });
  expect(onBehalf({ name: "owner", kind: "owner" }, field("uid:7")).origin).toBe("unknown for uid:7");
});

it.each([
  ["lines", "a\nb\u2028c", "abc"],
  ["what turns a text around", "a\u202eb", "ab"],
  ["a long text", "x".repeat(5_000), "x".repeat(256)],
])("takes %s for a text", (_, name, shown) => {
  expect(onBehalf(spoke, field(name))).toMatchObject({ origin: `10.0.0.7:4711 for ${shown}` });
});

const $unknown = [{ no: 99, wireType: WireType.LengthDelimited, data: Buffer.from("\x03bob") }];
const restrictions = [Object.assign(create(RestrictionSchema), { $unknown })];
const newer = Buffer.from(toBinary(OnBehalfOfSchema, create(OnBehalfOfSchema, { restrictions })));
it.each([
  ["no message", "AAAA"],
  ["a part that is cut off", field("key:ci").slice(0, -2)],
  ["a restriction of a newer version", newer.toString("base64url")],
])("refuses %s: what restricts must not be lost", (_, text) => {
  expect(() => onBehalf(spoke, text)).toThrow(InvalidArgument);
});
