import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { authorizationService } from "../../../src/ext/envoy/authorization_service.js";
import {
  CheckRequestSchema,
  CheckResponseSchema,
} from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";

const never = () => Promise.reject(new Error("not asked"));
const [check] = authorizationService({ authorizer: { authorize: never, refused: never } }).methods;
const routeOf = (connection: string) =>
  create(CheckRequestSchema, { attributes: { contextExtensions: { connection_id: connection } } });

it("asks for what its route names", () => {
  expect(check?.rpc?.resourceOf?.(routeOf("op/ada"))).toMatchObject({
    kind: "named",
    name: { userId: "ada" },
  });
  const id = "0b5c3f3e-7d6e-4f9e-9f0a-5a4c6e1d2b3a";
  expect(check?.rpc?.resourceOf?.(routeOf(id))).toEqual({ kind: "connection", connectionId: id });
  expect(check?.rpc?.resourceOf?.(create(CheckRequestSchema))).toEqual({
    kind: "connection",
    connectionId: "",
  });
});

it("tells a spoke whose token is shown", () => {
  const { rpc } = check ?? {};
  const answerOf = (dynamicMetadata: Record<string, string | number>) =>
    create(CheckResponseSchema, { dynamicMetadata });
  expect(rpc?.shows?.(answerOf({ connection_id: "some-id", revision: "7" }))).toEqual({
    connectionId: "some-id",
    revision: 7n,
  });
  for (const shown of [{}, { connection_id: 7, revision: 7 }, { revision: "seven" }])
    expect(rpc?.shows?.(answerOf(shown))).toEqual({ connectionId: undefined, revision: undefined });
});
