import { describe, expect, it } from "vitest";
import { InvalidArgument } from "../../../src/model/errors.js";
import { decodePageToken, encodePageToken, pageSize } from "../../../src/service/messages/page_token.js";

const isName = (text: string): boolean => /^[a-z]+$/.test(text);

describe("page tokens", () => {
  it("carry a key both ways", () => {
    expect(decodePageToken("providers", encodePageToken("providers", "github"), isName)).toBe("github");
    expect(encodePageToken("providers", undefined)).toBe("");
    expect(decodePageToken("providers", "", isName)).toBeUndefined();
  });

  it.each([
    "github",
    "%%",
    "Z2l0aHVi",
    "cHJvdmlkZXJzL2dpdGh1Yg==",
    "cHJvdmlkZXJzL2dpdGh1Yg\n",
    encodePageToken("providers", "UPPER"),
    encodePageToken("providers", "a b"),
    encodePageToken("templates", "github"),
  ])("refuse %j", (token) => {
    expect(() => decodePageToken("providers", token, isName)).toThrow(InvalidArgument);
  });

  it("take 0 as the default size", () => {
    expect([pageSize(0), pageSize(7)]).toEqual([100, 7]);
  });
});
