import { expect, it } from "vitest";
import { isFound } from "../../../src/model/connections/connection_search.js";

const ada = { id: "22222222-2222-4222-8222-222222222222", userId: "ada", label: "", providerName: "loc" };
const work = {
  ...ada,
  userId: "b/ob",
  label: "work",
  account: { subject: "7", name: "", email: "", login: "" },
};

it.each([
  ["", ada],
  ["LOC", ada],
  ["loc/ada", ada],
  ["Loc/A", ada],
  ["2222", ada],
  ["loc/b%2Fob/work", work],
  ["ob/work", work],
])("%j finds %o", (search, connection) => {
  expect(isFound(connection, search)).toBe(true);
});

it.each([
  ["loc/bob", ada],
  ["ada/loc", ada],
  ["loc/ada/work", ada],
  ["loc/b%2fob/home", work],
])("%j does not find %o", (search, connection) => {
  expect(isFound(connection, search)).toBe(false);
});
