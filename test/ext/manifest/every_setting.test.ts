import { describe, expect, it } from "vitest";
import { type DocumentError, formatViolations } from "../../../src/document/document_error.js";
import { manifestText } from "../../../src/ext/manifest/commands/manifest_run.js";
import { readManifest } from "../../../src/ext/manifest/manifest.js";
import { full, unattended, vouched } from "../../model/providers/whole_profiles.js";

it.each([
  ["a person consents", full],
  ["no person consents", unattended],
  ["an identity provider vouches", vouched],
])("where %s every setting survives a manifest", (_, whole) => {
  const text = manifestText([
    { id: "i", etag: "v3", settings: whole, clientSecretSet: whole.clientAssertionSource === "" },
  ]);
  const { profiles } = readManifest(text, { variables: { FULL_CLIENT_SECRET: "s3cret" } });
  expect(profiles[0]?.settings).toEqual(whole);
});

describe.each(["Transfer-Encoding", "Proxy-Authorization", "hOST"])("the header %s", (name) => {
  it("is refused in a manifest, with its place", () => {
    const text = `providers: [{name: acme, auth_type: header, params: {header_name: ${name}}}]`;
    const violations = (): string[] => {
      try {
        readManifest(text, { variables: {} });
        return [];
      } catch (error) {
        return formatViolations(error as DocumentError);
      }
    };
    expect(violations().join()).toMatch(/header_name.*frames the message/s);
  });
});
