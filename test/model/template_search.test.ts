import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ProviderTemplateSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import { searchTemplates } from "../../src/model/template_search.js";

const file = join(import.meta.dirname, "../../src/catalogue/providers.json");
const { providers } = JSON.parse(readFileSync(file, "utf8")) as {
  providers: { name: string; display_name: string; category?: string }[];
};
const catalogue = providers.map(({ name, display_name: displayName, category = "" }) =>
  create(ProviderTemplateSchema, { name, displayName, provider: { category } }),
);
const found = (query: string): string[] => searchTemplates(catalogue, query).map(({ name }) => name);

describe("searching the catalogue", () => {
  it.each([
    ["github", "github"],
    ["GitHub", "github"],
    ["gith", "github"],
    ["slack", "slack"],
    ["anthropic", "anthropic"],
  ])("finds %s first as %s", (query, name) => {
    expect(found(query)[0]).toBe(name);
  });

  it("lists all of it before something is typed, and wants every word", () => {
    expect(found("")).toHaveLength(catalogue.length);
    expect(found("github pat").every((name) => name.includes("github"))).toBe(true);
    expect(found("github pat")).toContain("github-pat");
    expect(found("no such thing at all")).toEqual([]);
  });

  it("puts words that begin so before those that hold it inside", () => {
    const templates = [
      { name: "digital", displayName: "Digital" },
      { name: "my-git", displayName: "Mine" },
      { name: "gitea", displayName: "Gitea" },
      { name: "git", displayName: "Git" },
    ].map((template) => create(ProviderTemplateSchema, template));
    expect(searchTemplates(templates, "git").map(({ name }) => name)).toEqual([
      "git",
      "gitea",
      "my-git",
      "digital",
    ]);
  });
});
