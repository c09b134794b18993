import { beforeEach, describe, expect, it } from "vitest";
import { IdentitySubjects } from "../../../../src/ext/grants/identity_assertion/identity_subjects.js";
import type { Connection } from "../../../../src/model/connections/connection.js";
import type { ProviderProfile } from "../../../../src/model/providers/provider_profile.js";
import { IdentityRequired } from "../../../../src/oauth/grants/identity_required.js";
import { Secret } from "../../../../src/runtime/secret.js";
import { Engine, hourMs, startMs, tokenSet } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";

describe("IdentitySubjects", () => {
  const engine = perTest(() => new Engine());
  let subjects: IdentitySubjects;
  let company: ProviderProfile;
  let chat: ProviderProfile;

  beforeEach(async () => {
    const { store, vault, clock } = engine;
    subjects = new IdentitySubjects({ store, vault, clock });
    company = await engine.provider("company");
    chat = await engine.provider("chat", { grantType: "identity_assertion", identityProvider: "company" });
  });

  const idToken = (endMs: number): Secret => {
    const claims = Buffer.from(JSON.stringify({ sub: "ada", exp: endMs / 1000 })).toString("base64url");
    return new Secret(`e30.${claims}.c2ln`);
  };
  const signedIn = (endMs = startMs + hourMs, more = {}): Promise<Connection> =>
    engine.connection(company, tokenSet({ idToken: idToken(endMs), ...more }));
  const ada = { userId: "ada", label: "" };

  it("finds the sign-in of the same user, whatever the label of the other connection", async () => {
    const { id } = await signedIn();
    expect(subjects.of(chat, ada).connection.id).toBe(id);
    expect(subjects.of(chat, { ...ada, label: "work" }).connection.id).toBe(id);
    expect(() => subjects.of(chat, { ...ada, userId: "bea" })).toThrow(IdentityRequired);
    expect(subjects.isUsable(chat, ada)).toBe(true);
    expect(subjects.isUsable(chat, { ...ada, userId: "bea" })).toBe(false);
  });

  it("has a sign-in refreshed that can be, a minute before its id_token ends", async () => {
    const { id } = await signedIn(startMs + 600_000);
    const connection = await engine.connection(chat);
    expect(subjects.toRenew(connection, chat)).toBeUndefined();
    engine.clock.advance(541_000);
    expect(subjects.toRenew(connection, chat)).toBe(id);
  });

  it("says that another try helps while a refresh has not been tried, and then that the person must sign in", async () => {
    const signIn = await signedIn(startMs + 600_000);
    engine.clock.advance(595_000);
    expect(() => subjects.of(chat, ada)).toThrow(expect.objectContaining({ kind: "transient" }));
    // A refresh that brings no other id_token.
    await engine.store.commit((tx) =>
      engine.writer.write(tx, {
        connection: signIn,
        profile: company,
        tokenSet: tokenSet(),
        previous: engine.credentialOf(signIn.id),
        receivedAtMs: engine.clock.nowMs(),
      }),
    );
    expect(() => subjects.of(chat, ada)).toThrow(IdentityRequired);
  });

  it.each([
    ["no id_token", { idToken: undefined }],
    ["one that ended and cannot be refreshed", { idToken: idToken(startMs), refreshToken: undefined }],
  ])("takes no sign-in with %s", async (_, more) => {
    await signedIn(startMs + hourMs, more);
    expect(() => subjects.of(chat, ada)).toThrow(IdentityRequired);
  });

  it("takes no id_token that was issued to another client", async () => {
    await signedIn();
    await engine.store.commit((tx) => tx.putProvider({ ...company, clientId: "another", version: 2n }));
    expect(() => subjects.of(chat, ada)).toThrow(IdentityRequired);
  });
});
