import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { AcquireTokenRequestSchema, TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import {
  defineService,
  type ServiceImplementation,
} from "../../../src/service/pipeline/service_definition.js";

const nothing = () => undefined;
const rpcs = Object.fromEntries(TokenService.methods.map(({ localName }) => [localName, nothing]));
const { methods } = defineService(
  TokenService,
  rpcs as unknown as ServiceImplementation<typeof TokenService>,
);
const acquire = methods.find(({ descriptor }) => descriptor === TokenService.method.acquireToken);
const message = (userId: string) => create(AcquireTokenRequestSchema, { providerName: "acme", userId });

it("judges a message each time unless it is frozen and was sound", () => {
  const open = message("ada");
  acquire?.validate(open);
  open.userId = "";
  expect(() => acquire?.validate(open)).toThrow("user_id");

  const unsound = Object.freeze(message(""));
  for (const _ of ["once", "again"]) expect(() => acquire?.validate(unsound)).toThrow("user_id");

  const sound = Object.freeze(message("ada"));
  for (const _ of ["once", "again"]) acquire?.validate(sound);
});
