import { expect, test } from "vitest";
import { type ConnectionView, TokenCache } from "../../../src/domain/connections/credential_reader.js";
import { type ChangedConnection, Changes } from "../../../src/runtime/changes.js";
import { perTest } from "../../lifetimes.js";

function view(id: string, accessToken = "at"): ConnectionView {
  const token = { credentials: { access_token: accessToken } };
  return { connection: { id }, token, problem: undefined } as unknown as ConnectionView;
}

function changed(connectionId: string): ChangedConnection {
  return { connectionId, userId: "ada", providerId: "op", label: "", dueAtMs: undefined };
}

const changes = perTest(() => new Changes());

test("a view is cached until its connection changes", () => {
  const views = new TokenCache(changes);
  const one = view("one");
  views.put(one);
  views.put(view("two"));
  expect(views.get("one")).toBe(one);
  changes.emit("connections", [changed("one"), changed("three")]);
  expect(views.get("one")).toBeUndefined();
  expect(views.get("two")).toBeDefined();
});

test("none is cached after a provider profile changed", () => {
  const views = new TokenCache(changes);
  views.put(view("one"));
  changes.emit("provider", "op");
  expect(views.size).toBe(0);
});

test("the one that was used longest ago makes room", () => {
  const views = new TokenCache(changes, 2);
  views.put(view("one"));
  views.put(view("two"));
  views.get("one");
  views.put(view("three"));
  expect(views.size).toBe(2);
  expect(views.get("two")).toBeUndefined();
  expect(views.get("one")).toBeDefined();
});

test("a view without a token, or with a very long one, is not kept", () => {
  const views = new TokenCache(changes);
  views.put({ ...view("one"), token: undefined });
  views.put(view("two", "x".repeat(16_385)));
  expect(views.size).toBe(0);
});
