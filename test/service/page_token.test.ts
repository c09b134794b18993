import { describe, expect, it } from "vitest";
import { InvalidArgument } from "../../src/model/errors.js";
import { decodePageToken, encodePageToken, pageSize } from "../../src/service/page_token.js";

const isName = (text: string): boolean => /^[a-z]+$/.test(text);

describe("page tokens", () => {
  it("carry a key both ways", () => {
    expect(decodePageToken(encodePageToken("github"), isName)).toBe("github");
    expect(encodePageToken(undefined)).toBe("");
    expect(decodePageToken("", isName)).toBeUndefined();
  });

  it.each(["github", "%%", "Z2l0aHVi=", "Z2l0aHVi\n", encodePageToken("UPPER"), encodePageToken("a b")])(
    "refuse %j",
    (token) => {
      expect(() => decodePageToken(token, isName)).toThrow(InvalidArgument);
    },
  );

  it("take 0 as the default size", () => {
    expect([pageSize(0), pageSize(7)]).toEqual([100, 7]);
  });
});
