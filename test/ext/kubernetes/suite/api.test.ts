import { expect, inject, it } from "vitest";
import { Informer } from "../../../../src/ext/kubernetes/api/informer.js";
import { KubernetesError } from "../../../../src/ext/kubernetes/api/kubernetes_api.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { silentLog } from "../../../silent_log.js";
import { clientOf, restartApiServer } from "./cluster.js";

const place = inject("cluster");
const api = clientOf(place);
const maps = { apiVersion: "v1", resource: "configmaps", namespace: "default" };
const map = (name: string, text: string) => ({
  ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { text } },
});

it("applies, reads, patches and deletes an object, and refuses a patch of an old version", async () => {
  const one = { ...maps, name: "one" };
  const { metadata } = await api.apply(one, map("one", "first"));
  await api.patch(one, { data: { text: "second" } });
  expect(await api.get(one)).toMatchObject({ data: { text: "second" } });
  const { resourceVersion = "" } = metadata;
  const stale = api.patch(one, { metadata: { resourceVersion }, data: { text: "third" } });
  await expect(stale).rejects.toMatchObject({ status: 409, reason: "Conflict" });
  await api.delete(one);
  expect(await api.find(one)).toBeUndefined();
});

it("names the reason where a service account may not do what it asks for", async () => {
  const refused = clientOf(place, "nobody's").get({ ...maps, name: "one" });
  await expect(refused).rejects.toBeInstanceOf(KubernetesError);
  await expect(refused).rejects.toMatchObject({ status: 401, reason: "Unauthorized" });
});

it("keeps a copy up to date while the API server is killed and started again", {
  timeout: 120_000,
}, async () => {
  const seen: string[] = [];
  const informer = new Informer({
    ...{ api, place: maps, clock: new SystemClock(), random: Math.random, log: silentLog },
    onChange: (key) => void seen.push(key),
  });
  informer.start();
  await api.apply({ ...maps, name: "before" }, map("before", "here"));
  await expect.poll(() => [...informer.objects.keys()]).toContain("default/before");
  await restartApiServer(place);
  await api.delete({ ...maps, name: "before" });
  await api.apply({ ...maps, name: "after" }, map("after", "here"));
  await expect.poll(() => [...informer.objects.keys()], { timeout: 60_000 }).toContain("default/after");
  expect([...informer.objects.keys()]).not.toContain("default/before");
  expect(seen.filter((key) => key === "default/before")).toHaveLength(2);
  await api.delete({ ...maps, name: "after" });
  await informer.stop();
});
