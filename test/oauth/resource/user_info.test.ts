import { expect, it } from "vitest";
import { readUserInfo } from "../../../src/oauth/resource/user_info.js";

const url = "https://api.example/user";
const github = { subject: "id", login: "login" };

it.each([
  [
    "standard claims",
    '{"sub":"1","name":"Ada","email":"a@b","preferred_username":"ada"}',
    {},
    ["1", "Ada", "a@b", "ada"],
  ],
  ["GitHub", '{"id":583231,"login":"ada","name":null,"email":null}', github, ["583231", "", "", "ada"]],
  [
    "a list, and what lies deep",
    '{"data":[{"user":{"key":"7"}}],"name":"x"}',
    { subject: "data.0.user.key" },
    ["7", "x", "", ""],
  ],
  ["a name with dots", '{"urn:id.sub":"9"}', { subject: "urn:id.sub" }, ["9", "", "", ""]],
])("reads %s", (_name, body, mapping, [subject, name, email, login]) => {
  expect(readUserInfo(body, mapping, url)).toMatchObject({ subject, name, email, login });
});

it.each([
  ["a signed response", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"],
  ["a page", "<html>"],
  ["nothing", ""],
  ["null", "null"],
  ["a text", '"ada"'],
  ["an object that says nothing", '{"constructor":"x"}'],
  ["the object's own", '{"__proto__":{"sub":"1"}}'],
  ["too deep", `${"[".repeat(30_000)}${"]".repeat(30_000)}`],
])("takes %s for no account", (_name, body) => {
  expect(readUserInfo(body, {}, url)).toBeUndefined();
});

it("keeps accounts of two endpoints, and of two paths, apart", () => {
  const sources = [
    readUserInfo('{"sub":1}', {}, url),
    readUserInfo('{"sub":1}', {}, `${url}s`),
    readUserInfo('{"sub":1,"id":1}', { subject: "id" }, url),
  ].map((account) => account?.source);
  expect(new Set(sources).size).toBe(3);
});
