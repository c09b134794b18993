import { beforeEach, describe, expect, it } from "vitest";
import type { CredentialCapture } from "../../../src/domain/consent/form.js";
import { owner } from "../../../src/model/access/principal.js";
import { Aborted, FailedPrecondition, NotFound, Unavailable } from "../../../src/model/errors.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";
import { profileOf } from "../static_profile.js";

describe("a capture and its record", () => {
  const engine = perTest(() => new Engine());
  let profile: ProviderProfile;
  let capture: CredentialCapture;
  /** What happens while the provider is asked. */
  let onTrial: () => Promise<void>;

  beforeEach(async () => {
    profile = await engine.provider("acme", profileOf());
    onTrial = async () => {};
    engine.onTrial = () => onTrial().then(() => undefined);
    capture = engine.consents.capture;
  });

  const request = (connectionId?: string) =>
    engine.request({ provider: { id: profile.id }, scopes: ["a"], connectionId });
  const events = () =>
    engine.store
      .listAuditEvents({ limit: 10, beforeSequence: undefined })
      .events.map(({ event }) => [event.type, event.principal, event.connectionId, event.providerId]);
  const edit = () =>
    engine.store.commit((tx) => tx.putProvider({ ...profile, version: profile.version + 1n }));

  it("are one commit, as is a replacement", async () => {
    const { state, connectionId } = await request();
    const before = engine.store.settledRevision;
    await capture.capture(state, { api_key: "k" }, owner);
    expect(engine.store.settledRevision).toBe(before + 1n);
    await capture.replace(connectionId, { api_key: "k2" }, owner);
    expect(engine.store.settledRevision).toBe(before + 2n);
    expect(events()).toEqual([
      ["credential_replaced", "owner", connectionId, profile.id],
      ["credential_captured", "owner", connectionId, profile.id],
      ["connection.requested", "owner", connectionId, profile.id],
    ]);
    expect(engine.get(connectionId)).toMatchObject({
      status: "active",
      credentialRevision: 2n,
      pendingStateHash: undefined,
      requestExpiresAtMs: undefined,
      dueAtMs: undefined,
    });
  });

  it("say that the provider refused, and not that it could not be asked", async () => {
    const { state, connectionId } = await request();
    onTrial = () => Promise.reject(new FailedPrecondition("CREDENTIAL_REJECTED", "no"));
    await expect(capture.capture(state, { api_key: "k" }, owner)).rejects.toThrow(FailedPrecondition);
    onTrial = () => Promise.reject(new Unavailable("away"));
    await expect(capture.capture(state, { api_key: "k" }, owner)).rejects.toThrow(Unavailable);
    expect(events().map(([type]) => type)).toEqual(["credential_rejected", "connection.requested"]);
    expect(engine.get(connectionId).status).toBe("pending");
  });

  it("do not happen when the profile changes while the provider is asked", async () => {
    const { state, connectionId } = await request();
    await capture.capture(state, { api_key: "k" }, owner);
    const again = await request(connectionId);
    onTrial = () => edit();
    await expect(capture.replace(connectionId, { api_key: "x" }, owner)).rejects.toThrow(Aborted);
    onTrial = async () => {};
    await expect(capture.capture(again.state, { api_key: "x" }, owner)).rejects.toThrow(NotFound);
    expect(engine.get(connectionId).credentialRevision).toBe(1n);
  });

  it("do not happen when the request is replaced or runs out while the provider is asked", async () => {
    const { state, connectionId } = await request();
    onTrial = async () => void (await request(connectionId));
    await expect(capture.capture(state, { api_key: "k" }, owner)).rejects.toThrow(NotFound);
    const second = await request(connectionId);
    onTrial = async () => engine.clock.jump(10 * 60_000);
    await expect(capture.capture(second.state, { api_key: "k" }, owner)).rejects.toThrow(NotFound);
    expect(engine.get(connectionId)).toMatchObject({ status: "pending", credentialRevision: 0n });
  });

  it("leave a newer request of the same connection alone when a credential is replaced", async () => {
    const first = await request();
    await capture.capture(first.state, { api_key: "k" }, owner);
    const second = await request(first.connectionId);
    await capture.replace(first.connectionId, { api_key: "k2" }, owner);
    expect(engine.get(first.connectionId).requestExpiresAtMs).toBe(second.expiresAtMs);
    await capture.capture(second.state, { api_key: "k3" }, owner);
    expect(engine.get(first.connectionId).credentialRevision).toBe(3n);
  });

  it("take a connection to the provider that was registered again under the name of its own", async () => {
    const { state, connectionId } = await request();
    await capture.capture(state, { api_key: "k" }, owner);
    await engine.store.commit((tx) => tx.deleteProvider(profile.id));
    profile = await engine.provider("acme", profileOf());
    await capture.capture((await request(connectionId)).state, { api_key: "k2" }, owner);
    expect(engine.get(connectionId)).toMatchObject({ providerId: profile.id, credentialRevision: 2n });
    await capture.replace(connectionId, { api_key: "k3" }, owner);
    expect(engine.get(connectionId).credentialRevision).toBe(3n);
  });

  it("wait for their confirmation with all that was entered", async () => {
    const asked = {
      provider: { id: profile.id },
      returnUrl: "https://app.example/",
      requireConfirmation: true,
    };
    const { state, connectionId } = await engine.request(asked);
    const { outcome } = await capture.capture(state, { api_key: "k" }, owner);
    if (outcome.kind !== "return") throw new Error(outcome.kind);
    expect(engine.get(connectionId)).toMatchObject({ status: "pending", awaitingConfirmation: true });
    const code = new URL(outcome.location).searchParams.get("completion_code") ?? "";
    await engine.confirmer.confirm(connectionId, code, owner);
    expect(engine.get(connectionId)).toMatchObject({
      status: "active",
      credentialRevision: 1n,
      awaitingConfirmation: undefined,
      pendingStateHash: undefined,
      requestExpiresAtMs: undefined,
    });
    expect(events().map(([type]) => type)).toEqual([
      "connection.confirmed",
      "credential_captured",
      "connection.requested",
    ]);
  });
});
