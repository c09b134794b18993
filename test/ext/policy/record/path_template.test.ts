import { RE2JS } from "re2js";
import { describe, expect, it } from "vitest";
import { pathTemplate } from "../../../../src/ext/policy/record/path_template.js";
import { exampleOf, templatePattern } from "../../../../src/model/access/request_template.js";
import fc from "../../../property.js";

describe("a path as a template", () => {
  it.each([
    ["/", "/"],
    ["/user", "/user"],
    ["/user/", "/user/"],
    ["/repos/acme/my-app/issues/17", "/repos/acme/my-app/issues/{number}"],
    ["/v1beta1/models", "/v1beta1/models"],
    ["/api/chat.postMessage", "/api/chat.postMessage"],
    ["/users/@me/guilds/112233445566778899", "/users/@me/guilds/{number}"],
    ["/orders/1b4e28ba-2fa1-11d2-883f-0016d3cca427", "/orders/{uuid}"],
    ["/repos/acme/app/commits/9fceb02d0ae598e95dc970b74767f19372d61af8", "/repos/acme/app/commits/{hex}"],
    ["/items/deadbeef", "/items/{hex}"],
    ["/v1/documents/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs", "/v1/documents/{token}"],
    ["/v1/documents/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs:batchUpdate", "/v1/documents/{token}:batchUpdate"],
    ["/calendars/ada@example.com/events", "/calendars/{id}/events"],
    ["/calendars/ada%40example.com/events", "/calendars/{any}/events"],
    ["/v1/urn:li:share:12345", "/v1/{any}"],
    ["/index/_search", "/index/_search"],
    ["/admin/api/2024-01/products.json", "/admin/api/{id}/products.json"],
    ["/a/{id}/b", "/a/{id}/b"],
    ["/a/{number}/b", "/a/{id}/b"],
    ["/graphql", "/graphql"],
  ])("%s becomes %s", (path, template) => {
    expect(pathTemplate(path)).toBe(template);
  });

  it("keeps no secret of a path", () => {
    const secrets = [
      "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
      "bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
      "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
      "sk-live-canary",
      "sk_live_abcdefgh",
      "xoxb-word-word",
      "T024BE7LD",
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
      "wJalrXUtnFEMIKbPxRfiCYEXAMPLEKEY",
      "AKIAIOSFODNNEXAMPLE",
      "qwrtzpsdfghjklyx",
      "aBcDeFgHiJkLmNoP",
      "canary-4c1d9f02",
      "+4915112345678",
      "ada.lovelace1815@example.com",
      "a".repeat(25),
    ];
    for (const secret of secrets) expect(pathTemplate(`/x/${secret}/y`)).toMatch(/^\/x\/\{[a-z]+\}\/y$/);
    for (const place of ["token", "tokens", "secret", "password", "api-keys", "hooks", "webhooks", "Token"])
      expect(pathTemplate(`/${place}/hunter/y`)).toBe(`/${place}/{id}/y`);
  });

  it("keeps nothing of letters and digits that are drawn by lot", () => {
    const drawn = fc.string({
      unit: fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
      minLength: 24,
      maxLength: 40,
    });
    // Two digits at its end can follow a word.
    const key = drawn.filter((text) => /\d[A-Za-z]/.test(text));
    fc.assert(
      fc.property(key, (text) => {
        expect(pathTemplate(`/${text}`)).not.toContain(text);
      }),
    );
  });

  it("is refused where it is long", () => {
    expect(pathTemplate(`/${"a/".repeat(600)}`)).toBeUndefined();
    expect(pathTemplate(`/${"word/".repeat(120)}`)).toBeUndefined();
  });

  it("stands for the path that it is of, and for its example", () => {
    const segment = fc.oneof(
      fc.constantFrom("repos", "acme.app", "$batch", "17", "deadbeef", "a:b", "x%40y", "ID1:batchGet", ""),
      fc.uuid(),
      fc.string({ unit: fc.constantFrom(..."abcXYZ019-_.~!$&'()*+,=:@"), minLength: 1, maxLength: 30 }),
    );
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (segments) => {
        const path = `/${segments.join("/")}`;
        const template = pathTemplate(path) ?? "";
        const pattern = RE2JS.compile(`^(${templatePattern(template)})$`);
        expect([path, pattern.matcher(path).find()]).toEqual([path, true]);
        const example = exampleOf(template);
        expect([example, pattern.matcher(example).find()]).toEqual([example, true]);
        expect(pattern.matcher(`${path}/more`).find()).toBe(false);
      }),
    );
  });

  it.each([
    ["/v1/{number}", "/v1/x"],
    ["/v1/{token}", "/v1/search"],
    ["/v1/{hex}", "/v1/me"],
    ["/v1/{id}", "/v1/x:delete"],
    ["/v1/{id}", "/v1/x/y"],
    ["/v1/{any}", "/v1/x/y"],
    ["/a.b", "/aXb"],
  ])("%s does not stand for %s", (template, path) => {
    expect(
      RE2JS.compile(`^(${templatePattern(template)})$`)
        .matcher(path)
        .find(),
    ).toBe(false);
  });
});
