import { beforeEach, describe, expect, it } from "vitest";
import { DeviceRequests } from "../../../src/domain/consent/device.js";
import type { TokenSet } from "../../../src/model/credentials/credential.js";
import { NotLeader } from "../../../src/model/errors.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { GrantFailure, type GrantFailureFields } from "../../../src/oauth/failure.js";
import { StoreFailed } from "../../../src/store/lmdb/store_error.js";
import { aProfile } from "../../samples.js";
import { tokenSet } from "../engine.js";
import { spooledEngine } from "../spooled_engine.js";

const maxBackoffMs = 60_000;

describe("a device consent whose commit fails", () => {
  let id: string;
  let answer: TokenSet;
  let polls: number;
  const { engine, restart } = spooledEngine((live) => {
    polls = 0;
    // A device code is redeemed once.
    live.pollDevice = async () => {
      if (polls++ === 0) return { kind: "granted", tokenSet: answer };
      throw new GrantFailure({ kind: "invalid_grant", oauthError: "invalid_grant" });
    };
  });
  beforeEach(async () => {
    answer = tokenSet({ subject: "ada" });
    const oauth2 = { ...plainOAuth2, deviceAuthorizationUrl: "https://op.example/device" };
    await engine.provider("op", { oauth2 });
    id = (await engine.request({ device: true })).connectionId;
  });

  /** The next look at the device. */
  const look = async (): Promise<void> => {
    engine.clock.advance(maxBackoffMs);
    for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** What is refused is not written, and the store goes on. */
  const refuse = (error: Error, commits: number): void => {
    let left = commits;
    engine.store.commit = () => {
      if (--left <= 0) Reflect.deleteProperty(engine.store, "commit");
      return Promise.reject(error);
    };
  };
  const isActive = (): void => {
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 1n, subject: "ada" });
    expect(engine.get(id)).toMatchObject({ pendingStateHash: undefined, requestExpiresAtMs: undefined });
    expect(engine.get(id).refusedConsent).toBeUndefined();
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    expect(engine.store.deviceAuthorizations()).toEqual([]);
  };

  it.each([
    ["a failure of the transaction", () => new Error("refused")],
    ["a hub that leads no more", () => new NotLeader()],
  ])("is stored at a later look after %s, and its code is not sent again", async (_what, error) => {
    refuse(error(), 2);
    await look();
    await look();
    expect(engine.get(id).status).toBe("pending");
    await look();
    await engine.until(id, ({ status }) => status === "active");
    isActive();
    await look();
    expect(polls).toBe(1);
  });

  it("is stored by the next start, which ends its request", async () => {
    refuse(new StoreFailed("the disk is full"), Number.POSITIVE_INFINITY);
    await look();
    engine.spool.save();
    await restart();
    await engine.spool.recover();
    isActive();
    engine.poller.start();
    await look();
    expect(polls).toBe(0);
  });

  it("is stored by the next start beside the request that replaced its own", async () => {
    refuse(new Error("refused"), 1);
    await look();
    await engine.request({ connectionId: id });
    const { pendingStateHash } = engine.get(id);
    engine.spool.save();
    await restart();
    await engine.spool.recover();
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 1n, pendingStateHash });
  });

  it("is waited for on, when the end of a refused one was not written", async () => {
    polls = 1;
    refuse(new Error("refused"), 1);
    await look();
    expect(engine.get(id).status).toBe("pending");
    await look();
    await engine.until(id, ({ status }) => status === "failed");
  });
});

it.each<[what: string, fields: GrantFailureFields, words: string]>([
  [
    "refused",
    { kind: "client", oauthError: "unauthorized_client", httpStatus: 400 },
    "the provider refuses the client or what it asks for (unauthorized_client 400)",
  ],
  ["too much", { kind: "transient", httpStatus: 429 }, "the provider did not process the request (429)"],
  ["lost", { kind: "ambiguous" }, "the request was sent and no answer came back"],
])("a device authorization that is %s is not called a token request", async (_what, fields, words) => {
  const devices = new DeviceRequests({
    grants: { authorizeDevice: () => Promise.reject(new GrantFailure(fields)) },
    poller: { watch: () => {} },
  });
  const oauth2 = { ...plainOAuth2, deviceAuthorizationUrl: "https://op.example/device" };
  const profile = aProfile({ name: "op", oauth2 });
  const server = { metadata: { issuer: "https://op.example" } } as never;
  await expect(devices.authorize({ server, profile, scopes: [], codeVerifier: "v" })).rejects.toThrow(
    `op gives no device code: ${words}`,
  );
});
