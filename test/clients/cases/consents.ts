import { setTimeout as sleep } from "node:timers/promises";
import { type Case, must, refused, same, sees, until, withoutCalls } from "../scene.js";

/** People consent, refuse, come back. */
export const consents: readonly Case[] = [
  {
    name: "first consent while waiting",
    play: async (scene) => {
      const { world } = scene;
      const provider = await world.register();
      const driver = await scene.open();
      const { fields } = await refused(driver.token(provider), "ConsentRequired");
      same("the reason", fields["reason"], "not_connected");
      const call = driver.start("acquire", { provider, user: "ada" });
      const { auth_url, connection_id, reason } = await call.consent();
      same(
        "the link of acquire",
        [auth_url, connection_id, reason],
        [fields["auth_url"], fields["connection_id"], "not_connected"],
      );
      // A client that waits asks once; one that polls, again and again.
      const before = await world.rpcs("AcquireToken");
      await sleep(1_500);
      must((await world.rpcs("AcquireToken")) - before <= 1, "it polls instead of waiting");
      await world.consent(auth_url);
      const { revision, access_token } = await call.result;
      same("the token", [revision, access_token], [1, world.newest]);
      same("links shown", call.consents.length, 1);
      await withoutCalls(world, () => sees(driver, provider, 1));
      const again = await driver.call("acquire", { provider, user: "ada" });
      same("the token again", again["revision"], 1);
    },
  },
  {
    name: "denied",
    play: async (scene) => {
      const { world } = scene;
      const provider = await world.register();
      const driver = await scene.open();
      const call = driver.start("acquire", { provider, user: "ada" });
      const first = await call.consent();
      await world.deny(first.auth_url);
      const { fields, message } = await refused(call.result, "ConsentDenied");
      same(
        "reason and connection",
        [fields["reason"], fields["connection_id"]],
        ["access_denied", first.connection_id],
      );
      must(fields["auth_url"] !== first.auth_url, "the link of the error is the one that was denied");
      must(!message.includes("state="), "the message holds the link");
      same("links shown", call.consents.length, 1);
      // The person thinks better of it, and nothing is in the way of the same client.
      const again = driver.start("acquire", { provider, user: "ada" });
      const { auth_url } = await again.consent();
      same("the link of the next call", auth_url, fields["auth_url"]);
      await world.consent(auth_url);
      same("the revision", (await again.result)["revision"], 1);
    },
  },
  {
    name: "revoked",
    play: async (scene) => {
      const { world } = scene;
      const { provider, connectionId } = await world.connected();
      const driver = await scene.open();
      await sees(driver, provider, 1);
      await sees(driver, provider, await world.refresh(provider));
      await world.clients.connections.revokeConnection({ connectionId });
      const { fields } = await until("the revoked token goes away", () =>
        driver.token(provider).then(
          () => undefined,
          () => refused(driver.token(provider), "ConsentRequired"),
        ),
      );
      same("the reason", fields["reason"], "not_connected");
      must(fields["connection_id"] !== connectionId, "the link is of the connection that was revoked");
      await world.consent(String(fields["auth_url"]));
      const { access_token } = await until("the token of the new connection", () =>
        driver.token(provider).catch(() => undefined),
      );
      same("the new token", access_token, world.newest);
    },
  },
  {
    name: "attention and back",
    play: async (scene) => {
      const { world } = scene;
      const { provider, connectionId } = await world.connected();
      const driver = await scene.open();
      await sees(driver, provider, 1);
      await sees(driver, provider, await world.refresh(provider));
      world.provider.failNextRefresh = "invalid_grant";
      await world.refresh(provider).catch(() => undefined);
      const { fields } = await until("the token goes away", () =>
        driver.token(provider).then(
          () => undefined,
          () => refused(driver.token(provider), "AttentionRequired"),
        ),
      );
      same(
        "reason and connection",
        [fields["reason"], fields["connection_id"]],
        ["reauth_required", connectionId],
      );
      await world.consent(String(fields["auth_url"]));
      await until("the token after the consent", () => driver.token(provider).catch(() => undefined));
      await sees(driver, provider, 3);
      same("the token", (await driver.token(provider)).access_token, world.newest);
    },
  },
  {
    name: "cancelled wait",
    play: async (scene) => {
      const { world } = scene;
      const provider = await world.register();
      const driver = await scene.open();
      const call = driver.start("acquire", { provider, user: "ada" });
      const { auth_url } = await call.consent();
      await until("the wait and the stream are under way", async () =>
        (await world.streams()) >= 2 ? true : undefined,
      );
      const answered = await world.rpcs("AcquireToken");
      const startedMs = Date.now();
      await driver.call("cancel", { target: call.id });
      await refused(call.result, "Cancelled");
      must(Date.now() - startedMs < 5_000, "it took longer than 5 s to be cancelled");
      await until("the daemon's call ends", async () =>
        (await world.rpcs("AcquireToken")) > answered ? true : undefined,
      );
      await world.consent(auth_url);
      await until("the client still works", () => driver.token(provider).catch(() => undefined));
    },
  },
  {
    name: "deadline",
    play: async (scene) => {
      const provider = await scene.world.register();
      const driver = await scene.open();
      const startedMs = Date.now();
      const { message } = await refused(
        driver.call("acquire", { provider, user: "ada", deadline_ms: 1_500 }),
        "DeadlineExceeded",
      );
      must(message.includes(`ada did not consent to ${provider} within 1.5 s`), message);
      const tookMs = Date.now() - startedMs;
      must(tookMs >= 1_400 && tookMs < 5_000, `it took ${tookMs} ms instead of 1500`);
    },
  },
];
