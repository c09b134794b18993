import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuthorizationServers } from "../../src/domain/authorization_servers.js";
import { ConnectionCompleter } from "../../src/domain/connection_completer.js";
import { ConnectionManager } from "../../src/domain/connection_manager.js";
import { RevocationQueue } from "../../src/domain/revocation_queue.js";
import { UnknownStates } from "../../src/domain/unknown_states.js";
import type { TokenSet } from "../../src/model/credential.js";
import { owner } from "../../src/model/principal.js";
import { KeyedMutex } from "../../src/runtime/keyed_mutex.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { silentLog } from "../silent_log.js";
import { Engine, tokenSet } from "./engine.js";

describe("ConnectionCompleter", () => {
  let engine: Engine;
  let manager: ConnectionManager;
  let completer: ConnectionCompleter;
  let answer: TokenSet;
  beforeEach(() => {
    engine = new Engine();
    const { store, vault, clock, writer } = engine;
    const shared = { store, vault, clock, log: silentLog };
    const servers = new AuthorizationServers({
      ...shared,
      networks: loopbackNetworks,
      fetchDocument: () => Promise.reject(new Error()),
    });
    const revocations = new RevocationQueue({ vault, clock });
    const publicUrl = "http://localhost:8080";
    manager = new ConnectionManager({ ...shared, servers, revocations, publicUrl, allowedReturnOrigins: [] });
    completer = new ConnectionCompleter({
      ...shared,
      servers,
      revocations,
      rescue: engine.rescue,
      writer,
      grants: { exchangeCode: () => Promise.resolve(answer) },
      onAccepted: (providerId) => engine.scheduler.clientAccepted(providerId),
      unknownStates: new UnknownStates(shared),
      locks: new KeyedMutex(),
    });
  });
  afterEach(async () => {
    await engine.close();
  });

  /** A person consents, and the provider answers the code with `tokens`. */
  const consent = async (connectionId: string | undefined, tokens: TokenSet): Promise<string> => {
    answer = tokens;
    const request = {
      userId: "ada",
      provider: { name: "op" },
      scopes: [],
      returnUrl: undefined,
      connectionId,
    };
    const requested = await manager.request(request, owner);
    const started = await completer.start(requested.state);
    if (started.kind !== "redirect") throw new Error(started.kind);
    const query = new URLSearchParams({ state: requested.state, code: "c" });
    const outcome = await completer.finish(
      query,
      () => started.binding.value,
      undefined,
      "/auth/callback/op",
    );
    expect(outcome.kind).toBe("done");
    return requested.connectionId;
  };
  const refreshToken = (id: string): string | undefined => {
    const stored = engine.store.getCredential(id);
    return stored && engine.vault.openCredential(engine.get(id), stored).refreshToken?.reveal();
  };

  it("keeps the refresh token when the same account consents again and none is issued", async () => {
    await engine.provider("op");
    const first = tokenSet({ subject: "ada@op" });
    const id = await consent(undefined, first);
    await consent(id, tokenSet({ subject: "ada@op", refreshToken: undefined }));
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, refreshable: true });
    expect(refreshToken(id)).toBe(first.refreshToken?.reveal());
  });

  it.each([
    ["another account", "bob@op"],
    ["an account that is not known", undefined],
  ])("never mixes the refresh token of one account with a token of %s", async (_name, subject) => {
    await engine.provider("op");
    const id = await consent(undefined, tokenSet({ subject: "ada@op" }));
    await consent(id, tokenSet({ subject, refreshToken: undefined }));
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, refreshable: false });
    expect(refreshToken(id)).toBeUndefined();
  });

  it("takes the new refresh token when one is issued", async () => {
    await engine.provider("op");
    const id = await consent(undefined, tokenSet({ subject: "ada@op" }));
    const second = tokenSet({ subject: "ada@op" });
    await consent(id, second);
    expect(refreshToken(id)).toBe(second.refreshToken?.reveal());
  });
});
