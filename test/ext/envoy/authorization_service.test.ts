import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { authorizationService } from "../../../src/ext/envoy/authorization_service.js";
import {
  CheckRequestSchema,
  CheckResponseSchema,
} from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import { rpcAccess } from "../../../src/service/pipeline/rpc_access.js";

const never = () => Promise.reject(new Error("not asked"));
const [check] = authorizationService({ authorizer: { authorize: never, refused: never } }).methods;
const access = check && rpcAccess(check.descriptor);
const routeOf = (connection: string) =>
  create(CheckRequestSchema, { attributes: { contextExtensions: { connection_id: connection } } });

it("asks for what its route names", () => {
  expect(access?.asked?.(routeOf("op/ada"))).toMatchObject({ kind: "named", name: { userId: "ada" } });
  const id = "0b5c3f3e-7d6e-4f9e-9f0a-5a4c6e1d2b3a";
  expect(access?.asked?.(routeOf(id))).toEqual({ kind: "connection", connectionId: id });
  expect(access?.asked?.(create(CheckRequestSchema))).toEqual({
    kind: "connection",
    connectionId: "",
  });
});

it("tells a spoke whose token is shown", () => {
  const { remote } = check ?? {};
  const answerOf = (dynamicMetadata: Record<string, string | number>) =>
    create(CheckResponseSchema, { dynamicMetadata });
  expect(remote?.shows(answerOf({ connection_id: "some-id", revision: "7" }))).toEqual({
    connectionId: "some-id",
    revision: 7n,
  });
  for (const shown of [{}, { connection_id: 7, revision: 7 }, { revision: "seven" }])
    expect(remote?.shows(answerOf(shown))).toEqual({ connectionId: undefined, revision: undefined });
});
