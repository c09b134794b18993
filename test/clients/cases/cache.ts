import { Code } from "@connectrpc/connect";
import type { DriverProcess } from "../driver_process.js";
import { type Case, must, refused, same, sees, until } from "../scene.js";
import { active, bookmark, link, revoked, ScriptedDaemon, token } from "../scripted_daemon.js";

/** `WatchTokensRequest.names` takes as many. */
const maxNames = 1_000;
const provider = "github";

/** A case with a daemon that says what the case wants. */
function scripted(
  name: string,
  play: (daemon: ScriptedDaemon, driver: DriverProcess) => Promise<void>,
): Case {
  return {
    name,
    play: (scene) =>
      ScriptedDaemon.play(async (daemon) => play(daemon, await scene.open({ address: daemon.address }))),
  };
}

/** The section on the cache in PROTOCOL.md, rule by rule. */
export const cache: readonly Case[] = [
  scripted("cache: names beyond the stream", async (daemon, driver) => {
    const ask = (n: number) => driver.token(provider, `user-${n}`);
    await Promise.all(Array.from({ length: maxNames }, (_, n) => ask(n)));
    same("calls for as many names as a stream carries", daemon.calls.length, maxNames);
    await ask(maxNames - 1);
    same("calls for a name that the stream carries", daemon.calls.length - maxNames, 0);
    for (let n = 0; n < 3; n++) await ask(maxNames);
    same("calls for a name beyond these", daemon.calls.length - maxNames, 3);
  }),
  scripted("cache: which of several", async (daemon, driver) => {
    daemon.answer = () => token(4, [], "the first");
    await driver.token(provider);
    const stream = await daemon.stream();
    stream.send(
      active(9, { id: "second", createdSeconds: 2, text: "the second" }),
      active(4, { id: "first", createdSeconds: 1, text: "the first" }),
      bookmark,
    );
    stream.send(active(10, { id: "second", createdSeconds: 2, text: "the second" }));
    stream.send(active(5, { id: "first", createdSeconds: 1, text: "the first" }));
    await sees(driver, provider, 5);
    stream.send(revoked(5, "first"));
    await sees(driver, provider, 10);
    same("calls", daemon.calls.length, 1);
  }),
  scripted("cache: an answer that the stream overtook", async (daemon, driver) => {
    await driver.token(provider);
    const stream = await daemon.stream();
    stream.send(active(1), active(2), bookmark);
    await sees(driver, provider, 2);
    let release = (): void => undefined;
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    daemon.answer = async ({ scopes }) => {
      if (scopes.length === 0) return link;
      await isReleased;
      return token(2);
    };
    const asked = driver.token(provider, "ada", { scopes: ["more"] });
    await until("the call", async () => (daemon.calls.length === 2 ? true : undefined));
    stream.send(revoked(2));
    await until("the token goes away", () =>
      driver.token(provider).then(
        () => undefined,
        () => true,
      ),
    );
    release();
    same("the answer", (await asked).revision, 2);
    const before = daemon.calls.length;
    await refused(driver.token(provider), "ConsentRequired");
    same("calls for what was revoked", daemon.calls.length - before, 1);
  }),
  scripted("cache: asks for the scopes alone", async (daemon, driver) => {
    daemon.answer = ({ scopes }) => token(1, scopes);
    await driver.token(provider, "ada", { scopes: ["read"] });
    await driver.token(provider, "bob", { scopes: ["read"], only_scopes: true });
    same(
      "only_scopes",
      daemon.calls.map(({ onlyScopes }) => onlyScopes),
      [false, true],
    );
  }),
  scripted("cache: has the scopes", async (daemon, driver) => {
    const asks = async (what: string, scopes: string[], calls: number): Promise<void> => {
      const before = daemon.calls.length;
      await driver.token(provider, "ada", { scopes });
      same(`calls ${what}`, daemon.calls.length - before, calls);
    };
    daemon.answer = () => token(1, ["granted", "other"]);
    await asks("for the first token", [], 1);
    await asks("for a scope that was granted", ["granted"], 0);
    await asks("for one that was not", ["renamed"], 1);
    await asks("for it again", ["renamed"], 0);
    const stream = await daemon.stream();
    stream.send(active(1, { scopes: ["granted", "other"] }), bookmark);
    stream.send(active(2, { scopes: ["other", "granted"] }));
    await sees(driver, provider, 2);
    await asks("after a refresh", ["renamed"], 0);
    daemon.answer = () => token(3, ["granted"]);
    stream.send(active(3, { scopes: ["granted"] }));
    await sees(driver, provider, 3);
    await asks("after a narrower consent", ["renamed"], 1);
    await asks("after that", ["renamed"], 0);
  }),
  scripted("cache: a stream that is refused", async (daemon, driver) => {
    await driver.token(provider);
    const stream = await daemon.stream();
    stream.send(active(1), active(2), bookmark);
    await sees(driver, provider, 2);
    daemon.answer = () => link;
    stream.fail(Code.PermissionDenied);
    const error = await until("the token goes away", () =>
      driver.token(provider).then(
        () => undefined,
        () => refused(driver.token(provider), "ConsentRequired"),
      ),
    );
    must(error.fields["reason"] === "not_connected", `the reason is ${error.fields["reason"]}`);
  }),
];
