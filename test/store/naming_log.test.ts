import { expect, it } from "vitest";
import { namingLog } from "../../src/store/naming_log.js";
import { Engine } from "../domain/engine.js";
import { perTest } from "../lifetimes.js";
import { silentLog } from "../silent_log.js";

const engine = perTest(() => new Engine());

it("puts the names of a connection and a provider beside their ids", async () => {
  const { id: connectionId, providerId } = await engine.connected();
  const lines: object[] = [];
  const log = namingLog({ ...silentLog, warn: (fields) => void lines.push(fields) }, engine.store);
  const fields = [
    { connectionId, error: "e" },
    { providerId },
    { connectionId: "gone", providerId: "gone" },
    {},
  ];
  for (const each of fields) log.warn(each, "said");
  expect(lines).toEqual([
    { connectionId, error: "e", provider: "op", user: "ada" },
    { providerId, provider: "op" },
    { connectionId: "gone", providerId: "gone" },
    {},
  ]);
  const getConnection = () => {
    throw new Error("the store is closed");
  };
  namingLog(
    { ...silentLog, warn: (given) => void lines.push(given) },
    { getConnection, providerNameOf: () => undefined },
  ).warn({ connectionId }, "said");
  expect(lines.at(-1)).toEqual({ connectionId });
});
