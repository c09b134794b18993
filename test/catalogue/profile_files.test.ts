import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { catalogueSchema, docsFile, fieldsPage, schemaFile } from "../../scripts/profile-files.js";

// `npm run generate` writes both from the proto.
it("the catalogue's schema and the page of the fields say what the proto says", () => {
  const schema = readFileSync(schemaFile, "utf8");
  expect(JSON.parse(schema)).toEqual(JSON.parse(catalogueSchema(schema)));
  expect(readFileSync(docsFile, "utf8")).toBe(fieldsPage());
});
