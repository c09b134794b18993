import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { perTest } from "../../lifetimes.js";
import { Engine, tokenSet } from "../engine.js";

describe("ConnectionCompleter", () => {
  const engine = perTest(() => new Engine());

  /** A person consents, and the provider answers the code with `tokens`. */
  const consent = async (connectionId: string | undefined, tokens: TokenSet): Promise<string> => {
    const consented = await engine.consent(tokens, { connectionId });
    expect(consented.result.kind).toBe("done");
    return consented.connectionId;
  };

  it("commits three times, the state consumed before the code is sent, and tells watchers of what they can see", async () => {
    await engine.provider("op");
    const steps: string[] = [];
    const committed = (): void => void steps.push("committed");
    subscribe("nexus.store.committed", committed);
    engine.changes.on("connections", () => void steps.push("announced"));
    engine.exchangeCode = () => {
      steps.push("sent");
      return Promise.resolve(tokenSet());
    };
    try {
      const { state } = await engine.request();
      expect(await engine.finish(state)).toMatchObject({ kind: "done" });
    } finally {
      unsubscribe("nexus.store.committed", committed);
    }
    const requested = ["committed", "announced"];
    const consumed = ["committed"];
    const stored = ["committed", "announced"];
    expect(steps).toEqual([...requested, ...consumed, "sent", ...stored]);
  });

  it("keeps the refresh token when the same account consents again and none is issued", async () => {
    await engine.provider("op");
    const first = tokenSet({ subject: "ada@op" });
    const id = await consent(undefined, first);
    await consent(id, tokenSet({ subject: "ada@op", refreshToken: undefined }));
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, refreshable: true });
    expect(engine.refreshTokenOf(id)).toBe(first.refreshToken?.reveal());
  });

  it.each([
    ["another account", "bob@op"],
    ["an account that is not known", undefined],
  ])("never mixes the refresh token of one account with a token of %s", async (_name, subject) => {
    await engine.provider("op");
    const id = await consent(undefined, tokenSet({ subject: "ada@op" }));
    await consent(id, tokenSet({ subject, refreshToken: undefined }));
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, refreshable: false });
    expect(engine.refreshTokenOf(id)).toBeUndefined();
  });

  it("takes the new refresh token when one is issued", async () => {
    await engine.provider("op");
    const id = await consent(undefined, tokenSet({ subject: "ada@op" }));
    const second = tokenSet({ subject: "ada@op" });
    await consent(id, second);
    expect(engine.refreshTokenOf(id)).toBe(second.refreshToken?.reveal());
  });
});
