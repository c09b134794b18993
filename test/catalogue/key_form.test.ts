import { describe, expect, it } from "vitest";
import { Catalogue, hasKeyForm, placeholderMark, placeholderOf } from "../../src/catalogue/catalogue.js";

/** As the rules of gitleaks 8 have them, which follow what the makers say. */
const patterns: Readonly<Record<string, RegExp>> = {
  github: /^ghp_[0-9a-zA-Z]{36}$/,
  gitlab: /^glpat-[\w-]{20}$/,
  anthropic: /^sk-ant-api03-[a-zA-Z0-9_-]{93}AA$/,
  slack: /^xoxb-[0-9]{10,13}-[0-9]{10,13}-[a-zA-Z0-9]{24}$/,
  "slack-user": /^xox[pe](?:-[0-9]{10,13}){3}-[a-zA-Z0-9-]{28,34}$/,
  "hugging-face-token": /^hf_[a-zA-Z]{34}$/,
  "google-gemini": /^AIza[\w-]{35}$/,
  sendgrid: /^SG\.[a-zA-Z0-9=_\-.]{66}$/,
  stripe: /^(sk|rk)_(test|live|prod)_[a-zA-Z0-9]{10,99}$/,
  "linear-api-key": /^lin_api_[a-zA-Z0-9]{40}$/,
  perplexity: /^pplx-[a-zA-Z0-9]{48}$/,
};

describe("the forms of keys", () => {
  it.each(Object.entries(patterns))(
    "a placeholder for %s is accepted where its keys are",
    async (name, pattern) => {
      const [form] = (await Catalogue.open(undefined)).get(name).keyForms;
      expect(placeholderOf(form, name)).toMatch(pattern);
    },
  );

  it("each form of the catalogue has room for what tells a placeholder from a key", async () => {
    for (const { name, keyForms } of (await Catalogue.open(undefined)).list({ limit: 1000 }))
      for (const form of keyForms) {
        const placeholder = placeholderOf(form, name);
        expect(placeholder, name).toContain(placeholderMark);
        expect(placeholder, name).not.toContain(`${placeholderMark}-`);
        expect(hasKeyForm(placeholder, form), name).toBe(true);
      }
  });

  it("is named where no form says how long it is", () => {
    expect(placeholderOf(undefined, "acme")).toBe("nexusdPlaceholderKqv-acme");
    expect(placeholderOf("ab_{8}", "acme")).toBe("nexusdPlaceholderKqv-acme");
  });

  it.each([
    ["ghp_abc", false],
    ["gho_abcdefghijklmnop1234", false],
    ["ghp_abcdefghijklmnop", true],
    ["ghp_abcdefghijklmn op", false],
  ])("recognizes %s: %s", (value, expected) => {
    expect(hasKeyForm(value, "ghp_{36}")).toBe(expected);
  });
});
