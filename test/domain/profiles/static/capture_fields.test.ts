import { expect, it } from "vitest";
import { Catalogue } from "../../../../src/catalogue/catalogue.js";
import { captureFields, enteredValues } from "../../../../src/domain/profiles/static/capture_fields.js";
import { checkCredential, credentialPath } from "../../../../src/domain/profiles/static/credential_values.js";
import { InvalidArgument } from "../../../../src/model/errors.js";

const catalogue = await Catalogue.open(undefined);
const templates = catalogue.list({ limit: 1000 }).filter(({ settings }) => settings.authType !== "oauth2");

it("calls no field of the catalogue optional that must not be left blank", () => {
  expect(templates.map(({ name }) => name)).toContain("twilio");
  for (const { name, settings } of templates) {
    const fields = captureFields(settings, undefined, []);
    const blank = new URLSearchParams(fields.map((field): [string, string] => [field.name, ""]));
    let refused: string[] = [];
    try {
      checkCredential(settings, enteredValues(settings, blank));
    } catch (error) {
      if (!(error instanceof InvalidArgument)) throw error;
      refused = error.violations.map(({ field }) => field);
    }
    const optional = fields.filter(({ isRequired, kind }) => !isRequired && kind !== "fixed");
    const wronged = optional
      .map((field) => credentialPath(field.name))
      .filter((path) => refused.includes(path));
    expect([name, wronged]).toEqual([name, []]);
  }
});
