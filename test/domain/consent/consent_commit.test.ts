import { beforeEach, describe, expect, it } from "vitest";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { tokenSet } from "../engine.js";
import { spooledEngine } from "../spooled_engine.js";

describe("a consent whose account is asked for", () => {
  const { engine, restart } = spooledEngine();
  beforeEach(async () => {
    await engine.provider("op", { userInfoEndpoint: "https://op.example/me" });
  });

  const accountOf = (subject: string) => ({ subject, name: "", email: "", login: "", source: "op" }) as const;
  const answersWith = (subject: string): void => {
    engine.outbound = async () => new Response(JSON.stringify({ sub: subject }));
  };
  /** The process ends, with all that came in its spool file, while the provider is asked whose the token is. */
  const cutOff = async (tokens: TokenSet, connectionId?: string): Promise<string> => {
    const isAsked = new Promise<void>((resolve) => {
      engine.outbound = () => {
        resolve();
        return new Promise(() => {});
      };
    });
    engine.exchangeCode = () => Promise.resolve(tokens);
    const requested = await engine.request({ connectionId });
    void engine.finish(requested.state);
    await isAsked;
    engine.spool.save();
    await restart();
    await engine.spool.recover();
    return requested.connectionId;
  };

  it("keeps its tokens when the process ends meanwhile", async () => {
    const tokens = tokenSet({ account: accountOf("ada") });
    const id = await cutOff(tokens);
    expect(engine.get(id)).toMatchObject({ status: "active", account: accountOf("ada") });
    expect(engine.refreshTokenOf(id)).toBe(tokens.refreshToken?.reveal());
  });

  it("is refused at the next start, too, when it is another account than before", async () => {
    answersWith("ada");
    const { connectionId: id } = await engine.consent(tokenSet({ account: accountOf("ada") }));
    const before = engine.refreshTokenOf(id);
    await cutOff(tokenSet({ account: accountOf("bob") }), id);
    expect(engine.get(id)).toMatchObject({ account: { subject: "ada" }, credentialRevision: 1n });
    expect(engine.refreshTokenOf(id)).toBe(before);
    expect(engine.events(id)[0]).toMatchObject({ type: "token_storage_failed", reason: "account_changed" });
  });

  it("is let go of when it is another account than before", async () => {
    answersWith("ada");
    const { connectionId: id } = await engine.consent(tokenSet());
    answersWith("bob");
    const { result } = await engine.consent(tokenSet(), { connectionId: id });
    expect(result).toMatchObject({ kind: "refused", reason: "account_changed" });
    expect(engine.spool.heldCount).toBe(0);
  });
});
