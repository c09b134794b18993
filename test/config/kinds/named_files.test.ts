import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/config.js";

const load = (text: string) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", NEXUS_CLIENT_ASSERTION_FILES: text }, {}, { isTTY: false });

test("files that profiles name are a list of names and paths", () => {
  const text = "kubernetes=/var/run/secrets/nexus/token, spire=/run/spire/jwt=1,";
  expect(load(text).clientAssertionFiles).toEqual({
    kubernetes: "/var/run/secrets/nexus/token",
    spire: "/run/spire/jwt=1",
  });
  expect(load("").clientAssertionFiles).toEqual({});
});

test.each([
  ["/var/run/token", /name=\/absolute\/path/],
  ["pod=token", /name=\/absolute\/path/],
  ["pod=", /name=\/absolute\/path/],
  ["Pod=/token", /name=\/absolute\/path/],
  ["__proto__=/token", /name=\/absolute\/path/],
  ["a=/1,a=/2", /each file once/],
])("%s is refused", (text, why) => {
  expect(() => load(text)).toThrow(why);
});
