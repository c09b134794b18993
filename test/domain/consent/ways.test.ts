import { beforeEach, describe, expect, it } from "vitest";
import { hashState } from "../../../src/domain/connections/credential_vault.js";
import { ConsentJudge, type Flaw, type Judged, type Presented } from "../../../src/domain/consent/ways.js";
import { admin } from "../../../src/model/access/principal.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";
import { Engine } from "../engine.js";

const path = "/auth/callback/op";

describe("a pending authorization", () => {
  const engine = perTest(() => new Engine());
  let key: string;
  /** Of the browser that opened the link. */
  let own: Presented;

  beforeEach(async () => {
    await engine.provider("op");
    const { state } = await engine.request();
    key = hashState(state);
    const started = await engine.completer.start(state);
    if (started.kind !== "redirect") throw new Error(started.kind);
    own = { cookie: () => started.binding.value, path };
  });

  const judge = (judgedAs: Judged, presented: Presented = own) => {
    const { store, vault, clock } = engine;
    const found = new ConsentJudge({ vault, clock, log: silentLog }).find(judgedAs, store, key, presented);
    return typeof found === "string" ? found : "flawless";
  };
  const expire = async () => engine.clock.jump(10 * 60_000);
  const edit = async () => {
    const profile = engine.store.findProviderByName("op");
    if (!profile) throw new Error("no provider");
    await engine.store.commit((tx) => tx.putProvider({ ...profile, version: profile.version + 1n }));
  };
  const remove = async () => {
    const id = engine.store.findProviderByName("op")?.id ?? "";
    await engine.store.commit((tx) => tx.deleteProvider(id));
  };
  /** What is sealed is that of another place. */
  const damage = async () => {
    const pending = engine.store.getAuthorization(key);
    if (!pending) throw new Error("no pending authorization");
    await engine.store.commit((tx) => tx.putAuthorization(key, { ...pending, connectionId: "another" }));
  };

  it.each<[Judged]>([["link"], ["callback"], ["poll"]])("has no flaw for %s", (judgedAs) => {
    expect(judge(judgedAs)).toBe("flawless");
  });

  it.each<[Judged, what: string, change: () => Promise<void>, Flaw]>([
    ["link", "after its time", expire, "expired"],
    ["link", "whose profile was edited", edit, "profile_changed"],
    ["link", "whose profile was deleted", remove, "profile_deleted"],
    ["link", "that cannot be opened", damage, "unreadable"],
    ["callback", "after its time", expire, "expired"],
    ["callback", "whose profile was edited", edit, "profile_changed"],
    ["callback", "whose profile was deleted", remove, "profile_deleted"],
    ["callback", "that cannot be opened", damage, "unreadable"],
    ["poll", "after its time", expire, "expired"],
    ["poll", "whose profile was edited", edit, "profile_changed"],
    ["poll", "that cannot be opened", damage, "unreadable"],
  ])("is flawed for %s %s", async (judgedAs, _what, change, flaw) => {
    await change();
    expect(judge(judgedAs)).toBe(flaw);
  });

  it.each<[Judged, what: string, Presented, Flaw]>([
    ["callback", "from another browser", { path, cookie: () => "another" }, "other_browser"],
    ["callback", "without a cookie", { path }, "other_browser"],
    ["decline", "that no API caused", {}, "unknown"],
    ["page", "of an authorization server", {}, "not_static"],
    ["submit", "of an authorization server", {}, "not_static"],
    ["capture", "of an authorization server", {}, "not_static"],
    ["confirm", "that nobody has answered", { caller: admin, completionCode: "c" }, "unknown"],
  ])("is flawed for %s %s", (judgedAs, _what, presented, flaw) => {
    expect(judge(judgedAs, presented)).toBe(flaw);
  });

  it("is not answered at the redirect URI of another provider", () => {
    expect(judge("callback", { ...own, path: "/auth/callback/other" })).toBe("other_redirect_uri");
  });

  it("tells another browser nothing else", async () => {
    await expire();
    await edit();
    expect(judge("callback", { path: "/auth/callback/other" })).toBe("other_browser");
  });

  it("is unknown once it was taken", async () => {
    await engine.store.commit((tx) => tx.takeAuthorization(key));
    for (const judgedAs of ["link", "callback", "poll"] as const) expect(judge(judgedAs)).toBe("unknown");
  });
});
