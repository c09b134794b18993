import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { packedChart } from "../../../deploy/packed_chart.js";
import { makeNamespace } from "./chart.js";
import { clientOf } from "./cluster.js";
import { helmAt } from "./helm.js";

const place = inject("cluster");
const admin = clientOf(place);
const helm = helmAt(place);
const root = join(import.meta.dirname, "../../../..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const namespace = "packaged";
const [repository, digest] = ["registry.test.internal/nexusd", `sha256:${"1".repeat(64)}`];

beforeAll(() => makeNamespace(admin, namespace));
afterAll(async () => {
  await helm(namespace, "uninstall", "nexusd", "--no-hooks");
});

it("is installed at the API server from the package of a release, and starts the image by its digest", async () => {
  await helm(namespace, "install", "nexusd", await packedChart(version, `${repository}@${digest}`));
  const { stdout } = await helm(namespace, "list", "-o", "json");
  expect(JSON.parse(stdout)).toMatchObject([
    { status: "deployed", chart: `nexusd-${version}`, app_version: version },
  ]);
  const of = { apiVersion: "apps/v1", resource: "statefulsets", namespace, name: "nexusd" };
  const set = (await admin.get(of)) as object as {
    readonly spec: { readonly template: { readonly spec: { readonly containers: readonly object[] } } };
  };
  const image = `${repository}:${version}@${digest}`;
  expect(set.spec.template.spec.containers).toEqual([expect.objectContaining({ image })]);
});
