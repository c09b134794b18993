import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Connections } from "../../../src/domain/connections/connections.js";
import { ConnectionCompleter } from "../../../src/domain/consent/consent_flow.js";
import { UnknownStateAudit } from "../../../src/domain/consent/unknown_state_audit.js";
import { IssuerMetadata } from "../../../src/domain/grants/issuer_metadata.js";
import { RevocationQueue } from "../../../src/domain/grants/revocation_queue.js";
import { owner } from "../../../src/model/access/principal.js";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { FailedPrecondition, Unavailable } from "../../../src/model/errors.js";
import { DiscoveryFailure } from "../../../src/oauth/discovery.js";
import { KeyedMutex } from "../../../src/runtime/keyed_mutex.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { silentLog } from "../../silent_log.js";
import { Engine, tokenSet } from "../engine.js";

describe("ConnectionCompleter", () => {
  let engine: Engine;
  let manager: Connections;
  let completer: ConnectionCompleter;
  let answer: TokenSet;
  let resolveFailure: Error | undefined;
  beforeEach(() => {
    engine = new Engine();
    const { store, vault, clock, writer } = engine;
    const shared = { store, vault, clock, log: silentLog };
    const servers = new IssuerMetadata({
      ...shared,
      networks: loopbackNetworks,
      fetchDocument: () => Promise.reject(new Error()),
    });
    const revocations = new RevocationQueue({ vault, clock });
    const publicUrl = "http://localhost:8080";
    manager = new Connections({ ...shared, servers, revocations, publicUrl, allowedReturnOrigins: [] });
    resolveFailure = undefined;
    completer = new ConnectionCompleter({
      ...shared,
      servers: {
        resolve: (profile) => (resolveFailure ? Promise.reject(resolveFailure) : servers.resolve(profile)),
      },
      revocations,
      spool: engine.spool,
      writer,
      grants: { exchangeCode: () => Promise.resolve(answer) },
      onAccepted: (providerId) => void engine.changes.emit("clientAccepted", providerId),
      unknownStateAudit: new UnknownStateAudit(shared),
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

  it.each<[what: string, failure: Error, kind: string]>([
    [
      "cannot be reached",
      new Unavailable("down", undefined, new DiscoveryFailure("unreachable", "https://op.example", "gone")),
      "provider_unreachable",
    ],
    [
      "answers badly",
      new Unavailable(
        "bad",
        undefined,
        new DiscoveryFailure("not_json", "https://op.example", "a page of HTML"),
      ),
      "provider_misconfigured",
    ],
    [
      "is not what the profile says",
      new FailedPrecondition("PROVIDER_MISCONFIGURED", "another issuer"),
      "provider_misconfigured",
    ],
  ])("tells a provider that %s from the others, when a link is opened", async (_what, failure, kind) => {
    await engine.provider("op");
    const provider = { name: "op" };
    const request = { userId: "ada", provider, scopes: [], returnUrl: undefined, connectionId: undefined };
    const { state } = await manager.request(request, owner);
    resolveFailure = failure;
    expect(await completer.start(state)).toEqual({ kind });
  });

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
