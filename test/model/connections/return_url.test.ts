import { describe, expect, it } from "vitest";
import { checkReturnUrl } from "../../../src/model/connections/authorization.js";
import { InvalidArgument } from "../../../src/model/errors.js";

const allowed = ["https://app.example", "http://127.0.0.1:3000"];

describe("checkReturnUrl", () => {
  it.each([
    ["https://app.example/done?x=1#top", "https://app.example/done?x=1#top"],
    ["https://app.example", "https://app.example/"],
    ["https://APP.example:443/a/../b", "https://app.example/b"],
    ["http://127.0.0.1:3000/", "http://127.0.0.1:3000/"],
    ["http://2130706433:3000/", "http://127.0.0.1:3000/"],
  ])("answers %s as it will be sent", (text, expected) => {
    expect(checkReturnUrl(text, allowed)).toBe(expected);
  });

  it.each([
    "",
    "app.example",
    "/done",
    "//app.example/",
    "https://app.example.evil.example/",
    "https://evil.example/https://app.example/",
    "https://app.example@evil.example/",
    "https://user@app.example/",
    "https://app.example:8443/",
    "http://127.0.0.1:30000/",
    "http://127.0.0.1:3000.evil.example/",
    "https://127.0.0.1:3000/",
    "http://app.example/",
    "https://app.example\\@evil.example/",
    "https://app.example/\r\nx: y",
    "https://app.example/ x",
    "https://app.example\u0000/",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://app.example/x",
    "https://аpp.example/",
    "https:app.example/",
    "https:/app.example/",
    "https:///app.example/",
    "https://@app.example/",
    "https://:@app.example/",
    "https://user:@app.example/",
    "https://app.example/\u0085",
    "https://app.example/\u2028",
    "https://app.example/\u00a0",
    "https://app.example/\u202egpj.exe",
    "https://app.example/\ufeff",
    "https://app.example/\ud800",
    "view-source:https://app.example/",
    "http+unix://app.example/",
    "ftp://app.example/",
    "HTTPS:\\\\app.example/",
  ])("refuses %j", (text) => {
    expect(() => checkReturnUrl(text, allowed)).toThrow(InvalidArgument);
  });

  it("refuses everything, and says which setting to set, when nothing is allowed", () => {
    expect(() => checkReturnUrl("https://app.example/", [])).toThrow("NEXUS_ALLOWED_RETURN_URLS");
  });
});

describe("checkReturnUrl with a wildcard", () => {
  const wildcards = ["https://*.example.com", "https://*.apps.example.net:8443"];

  it.each([
    ["https://app.example.com/done", "https://app.example.com/done"],
    ["https://APP-2.example.com", "https://app-2.example.com/"],
    ["https://xn--bcher-kva.example.com/", "https://xn--bcher-kva.example.com/"],
    ["https://one.apps.example.net:8443/", "https://one.apps.example.net:8443/"],
  ])("answers %s, one label deep", (text, expected) => {
    expect(checkReturnUrl(text, wildcards)).toBe(expected);
  });

  it.each([
    "https://example.com/",
    "https://a.b.example.com/",
    "https://.example.com/",
    "https://*.example.com/",
    "https://app.example.com.evil.example/",
    "https://app.example.com:8443/",
    "http://app.example.com/",
    "https://evilexample.com/",
    "https://app.example.com@evil.example/",
    "https://one.apps.example.net/",
    "https://evil.example/.example.com",
  ])("refuses %j", (text) => {
    expect(() => checkReturnUrl(text, wildcards)).toThrow(InvalidArgument);
  });
});
