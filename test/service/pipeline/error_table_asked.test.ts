import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RequestConnectionRequestSchema } from "../../../src/gen/nexus/v1/nexus_pb.js";
import {
  DeleteProviderRequestSchema,
  GetProviderRequestSchema,
} from "../../../src/gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenRequestSchema,
  TokenServiceGetTokenRequestSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import { NotFound } from "../../../src/model/errors.js";
import { withProviderName } from "../../../src/service/pipeline/error_table.js";

describe("a provider that was not found", () => {
  const acquire = (providerName: string) =>
    create(AcquireTokenRequestSchema, { providerName, userId: "ada" });

  it.each([
    [acquire("No-such"), 'provider not found: "No-such"'],
    [create(RequestConnectionRequestSchema, { providerName: "github2" }), 'provider not found: "github2"'],
    [
      create(TokenServiceGetTokenRequestSchema, { name: { providerName: "loc" } }),
      'provider not found: "loc"',
    ],
    [create(GetProviderRequestSchema, { key: { case: "name", value: "loc" } }), 'provider not found: "loc"'],
    [create(DeleteProviderRequestSchema, { id: "7b0d2a53" }), 'provider not found: "7b0d2a53"'],
    [acquire(""), "provider not found"],
    [acquire("a\nb\u001b[31m\u202e"), 'provider not found: "a\\u{a}b\\u{1b}[31m\\u{202e}"'],
    [acquire("x".repeat(1_000)), `provider not found: "${"x".repeat(128)}..."`],
  ])("is named as the caller wrote it, row %#", (request, message) => {
    expect(withProviderName(new NotFound("provider"), request)).toMatchObject({
      message,
      resource: "provider",
    });
  });

  it("is told from all else", () => {
    const connection = new NotFound("connection");
    expect(withProviderName(connection, acquire("loc"))).toBe(connection);
  });
});
