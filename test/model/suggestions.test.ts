import { expect, it } from "vitest";
import { didYouMean, suggestions } from "../../src/model/suggestions.js";

const names = ["github", "github-enterprise", "gitlab", "google", "slack"];

it.each([
  ["git", ["github", "github-enterprise", "gitlab"]],
  ["githbu", ["github"]],
  ["gihtub", ["github"]],
  ["slack-bot", ["slack"]],
  ["gogle", ["google"]],
  ["x", []],
  ["", []],
])("suggests for %j by prefix and distance: %j", (word, wanted) => {
  expect(suggestions(word, names)).toEqual(wanted);
});

it("asks in words, where there is something to ask", () => {
  expect(didYouMean("slak", names)).toBe("did you mean slack?");
  expect(didYouMean("zoom", names)).toBeUndefined();
});
