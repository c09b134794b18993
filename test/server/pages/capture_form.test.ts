import { describe, expect, it } from "vitest";
import type { CaptureError, CaptureForm } from "../../../src/domain/consent/consent.js";
import type { CaptureField } from "../../../src/domain/profiles/static/capture_field.js";
import {
  captureFields,
  enteredValues,
  generalViolations,
} from "../../../src/domain/profiles/static/capture_fields.js";
import type { JsonObject } from "../../../src/model/json.js";
import { captureFormPage } from "../../../src/server/pages/capture_form.js";
import { describeBy } from "../../../src/server/pages/page_words.js";
import { pageStyle } from "../../../src/server/pages/pages.js";
import { profileOf, schemaWith } from "../../domain/static_profile.js";

const docsUrl = "https://developer.acme.example/keys?a=1&b=2";
const describeProvider = describeBy((name) =>
  name === "acme" || name === "forged"
    ? {
        displayName: "Acme <CRM>",
        docsUrl: name === "acme" ? docsUrl : "javascript:alert(1)",
        scopeWords: {},
      }
    : undefined,
);
const target = "/auth/capture?state=s&x=1";

function formWith(more: Partial<CaptureForm>): CaptureForm {
  return {
    providerName: "acme",
    title: "",
    description: "",
    fields: [],
    violations: [],
    formToken: "t0k",
    returnUrl: undefined,
    ...more,
  };
}

function fieldWith(more: Partial<CaptureField>): CaptureField {
  return {
    name: "api_key",
    label: "API key",
    description: "",
    kind: "secret",
    choices: [],
    format: "none",
    isRequired: true,
    hint: "",
    value: "",
    violation: undefined,
    ...more,
  };
}

const bodyOf = (form: Partial<CaptureForm>, error?: CaptureError): string =>
  captureFormPage(formWith(form), error, target, describeProvider).body;

describe("the page of a form", () => {
  it("is sent to the daemon, by a browser that judges nothing", () => {
    const body = bodyOf({ fields: [fieldWith({})] });
    expect(body).toContain('<form method="post" action="/auth/capture?state=s&amp;x=1" novalidate=""');
    expect(body).toContain('<input type="hidden" name="nexus-csrf" value="t0k"/>');
    expect(body).toContain('<h1 dir="auto">Connect acme</h1>');
    expect(body).toContain("<title>Connect acme</title>");
    expect(body).not.toMatch(/<script|\sstyle=|\son[a-z]+=/);
  });

  it("names the provider as people know it, and says where its keys are found", () => {
    const body = bodyOf({ template: "acme" });
    expect(body).toContain('<h1 dir="auto">Connect Acme &lt;CRM&gt;</h1>');
    expect(body).toContain(
      '<a href="https://developer.acme.example/keys?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">Where do I find this at Acme &lt;CRM&gt;?</a>',
    );
    expect(bodyOf({ template: "acme", providerName: "crm-eu" })).toContain(
      "Connect Acme &lt;CRM&gt; (crm-eu)",
    );
    expect(bodyOf({ template: "gone" })).toContain("Connect acme<");
    expect(bodyOf({ template: "gone" })).not.toContain("Where do I find this");
    expect(bodyOf({ template: "forged", providerName: "forged" })).not.toContain("javascript:");
  });

  it.each([
    ["key:research", "<dt>Application</dt><dd><bdi>research</bdi></dd>"],
    ["jwt:<b>x", "<dt>Application</dt><dd><bdi>&lt;b&gt;x</bdi></dd>"],
    [`cert:${"a".repeat(500)}`, `<bdi>${"a".repeat(80)}\u2026</bdi>`],
  ])("says that %s asks, for whom, and where the person goes back to", (requestedBy, words) => {
    expect(bodyOf({ requestedBy })).toContain(words);
    const body = bodyOf({ requestedBy, userId: "ada<", returnUrl: "https://app.example:8443/back?x=<" });
    expect(body).toContain("<dt>For the user</dt><dd><bdi>ada&lt;</bdi></dd>");
    expect(body).toContain(words);
    expect(body).toContain("You go back to <b><bdi>app.example:8443</bdi></b> afterwards.");
  });

  it.each(["owner", "admin", "uid:7", ""])("names nobody where %s asked", (requestedBy) => {
    expect(bodyOf({ requestedBy })).not.toContain("<dt>");
  });

  it("has a style for each class", () => {
    const fields = [
      fieldWith({ description: "About it.", violation: "API key is wrong." }),
      fieldWith({ hint: "Expected: a date", isRequired: false, kind: "text" }),
    ];
    const body = bodyOf({ fields, violations: ["credentials is wrong."] }, "invalid");
    const classes = [...body.matchAll(/ class="([^"]+)"/g)].flatMap(([, names = ""]) => names.split(" "));
    expect(classes).toContain("violation");
    expect(classes.filter((name) => !pageStyle.includes(`.${name}`))).toEqual([]);
  });

  it("has a label, a description and a mark for each field", () => {
    const body = bodyOf({
      fields: [
        fieldWith({ description: "From the console.", hint: "Expected: pattern ^sk-" }),
        fieldWith({ name: "note", label: "Note", kind: "text", isRequired: false, value: "kept" }),
      ],
    });
    expect(body).toContain('<label for="field-0"><bdi>API key</bdi></label>');
    expect(body).toContain('<p class="hint" dir="auto" id="field-0-hint">From the console.</p>');
    expect(body).toMatch(
      /<input type="password" [^>]*id="field-0" name="api_key" autocomplete="off" title="Expected: pattern \^sk-" required="" autofocus="" aria-describedby="field-0-hint"\/>/,
    );
    expect(body).toContain(
      '<label for="field-1"><bdi>Note</bdi><span class="soft"> (optional)</span></label>',
    );
    expect(body).toMatch(
      /<input type="text" value="kept" [^>]*id="field-1" name="note" autocomplete="off"\/>/,
    );
  });

  it("shows an error beside its field, and a summary that leads there", () => {
    const fields = [fieldWith({}), fieldWith({ name: "b", label: "B", violation: "B is required." })];
    const body = bodyOf({ fields, violations: ["Not accepted."] }, "invalid");
    expect(body).toContain("<title>Error: Connect acme</title>");
    expect(body).toContain('<li dir="auto">Not accepted.</li>');
    expect(body).toContain('<li dir="auto"><a href="#field-1">B is required.</a></li>');
    expect(body).toMatch(/role="alert" [^>]*tabindex="-1" autofocus=""/);
    expect(body).toContain(
      'dir="auto" id="field-1-error"><span class="hidden">Error: </span>B is required.</p>',
    );
    expect(body).toMatch(/id="field-1" [^>]*aria-describedby="field-1-error" aria-invalid="true"\/>/);
    expect(body.match(/aria-invalid/g)).toHaveLength(1);
    expect(body.match(/autofocus/g)).toHaveLength(1);
  });

  it("offers choices, the chosen one first seen", () => {
    const choice = { kind: "choice", choices: ["eu", "us", ""], label: "Region" } as const;
    expect(bodyOf({ fields: [fieldWith({ ...choice, value: "us" })] })).toMatch(
      /<select id="field-0"[^>]*><option value="eu">eu<\/option><option value="us" selected="">us<\/option><option value="">\(empty\)<\/option><\/select>/,
    );
    expect(bodyOf({ fields: [fieldWith({ ...choice })] })).toMatch(
      /<select [^>]*><option value="" selected="">Choose<\/option>/,
    );
  });

  it("escapes every text", () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='y'>&amp;`;
    const every = { label: evil, description: evil, hint: evil, violation: evil, value: evil, name: evil };
    const body = bodyOf(
      {
        providerName: evil,
        title: evil,
        description: evil,
        violations: [evil],
        formToken: evil,
        fields: [
          fieldWith({ ...every, kind: "text" }),
          fieldWith({ ...every, kind: "secret" }),
          fieldWith({ ...every, kind: "fixed" }),
          fieldWith({ ...every, kind: "choice", choices: [evil] }),
        ],
      },
      "invalid",
    );
    expect(body).not.toContain("<script");
    expect(body).not.toContain("<img");
    expect(body).not.toContain("onerror='");
    expect(body.replaceAll("&quot;", "").match(/&quot;>/)).toBeNull();
  });

  it("never shows the value of a secret", () => {
    expect(bodyOf({ fields: [fieldWith({ value: "hunter2" })] })).not.toContain("hunter2");
  });

  it.each([
    [undefined, "form-action 'self'"],
    ["https://app.example/back?x=;script-src%20*", "form-action 'self' https:"],
    ["http://127.0.0.1:3999/", "form-action 'self' http:"],
  ])("lets the form lead to %s", (returnUrl, directive) => {
    const { headers } = captureFormPage(formWith({ returnUrl }), undefined, target, describeProvider);
    expect(headers["content-security-policy"]).toBe(
      `default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; ${directive}`,
    );
    expect(headers["referrer-policy"]).toBe("same-origin");
    expect(headers["cache-control"]).toBe("no-store");
  });
});

describe("the fields of a schema", () => {
  const fieldOf = (property: JsonObject, name = "x", entered?: Record<string, string>): CaptureField => {
    const profile = profileOf({ credentialSchema: schemaWith({ [name]: property }) });
    const fields = captureFields(profile, entered, [{ field: "credentials.x", description: "is wrong" }]);
    return fields.find((field) => field.name === name) as CaptureField;
  };

  it.each<[string, JsonObject, Partial<CaptureField>]>([
    ["a title", { type: "string", title: "X!" }, { label: "X!", kind: "text", violation: "X! is wrong." }],
    ["no title", { type: "string" }, { label: "x", description: "", hint: "", isRequired: false }],
    ["a password", { type: "string", format: "password" }, { kind: "secret" }],
    [
      "a value that is only written",
      { type: "string", writeOnly: true, default: "d" },
      { kind: "secret", value: "" },
    ],
    ["choices", { enum: ["a", "b"], default: "b" }, { kind: "choice", choices: ["a", "b"], value: "b" }],
    ["a constant", { const: "2" }, { kind: "fixed", value: "2" }],
    ["a default", { type: "string", default: "d" }, { value: "d" }],
    [
      "an address",
      { type: "string", format: "email" },
      { format: "email", hint: "Expected: an e-mail address" },
    ],
    [
      "limits",
      { type: "string", minLength: 2, maxLength: 9, pattern: "^a" },
      { hint: "Expected: at least 2 characters, at most 9 characters" },
    ],
  ])("with %s", (_name, property, field) => {
    expect(fieldOf(property)).toMatchObject(field);
  });

  it("keep what was entered, secrets excepted", () => {
    expect(fieldOf({ type: "string", default: "d" }, "x", { x: "e" }).value).toBe("e");
    expect(fieldOf({ type: "string", format: "password" }, "x", { x: "e" }).value).toBe("");
  });

  it("hide what the strategy keeps secret, whatever the schema says", () => {
    expect(fieldOf({ type: "string" }, "api_key", { api_key: "k" })).toMatchObject({
      kind: "secret",
      value: "",
      isRequired: true,
      label: "API key",
    });
  });

  it("do not ask for a password that may be empty", () => {
    const strategy = { kind: "basic_auth", usernameField: "username", passwordField: "password" } as const;
    const fields = captureFields(profileOf({ strategy }), undefined, []);
    expect(fields.map(({ name, kind, isRequired }) => [name, kind, isRequired])).toEqual([
      ["username", "text", true],
      ["password", "secret", false],
    ]);
    const sent = new URLSearchParams("username=&password=&other=1");
    expect(enteredValues(profileOf({ strategy }), sent)).toEqual({ password: "" });
  });

  it("leave the errors of no field to the summary", () => {
    const violations = [
      { field: "credentials.api_key", description: "is required" },
      { field: "credentials", description: "must be shorter" },
    ];
    expect(generalViolations(profileOf(), violations)).toEqual(["credentials must be shorter."]);
  });
});
