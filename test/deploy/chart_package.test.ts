import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { readImage } from "./image.js";
import { packedChart } from "./packed_chart.js";

const root = join(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const { digest } = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "").config;
const repository = "registry.test.internal/nexusd";

const helm = (...args: string[]): string =>
  execFileSync("helm", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

let chart: string;
beforeAll(async () => {
  chart = await packedChart(version, `${repository}@${digest}`);
});

it("is a package that helm accepts, of the version of package.json", () => {
  helm("lint", "--strict", chart);
  const shown = helm("show", "chart", chart);
  expect(shown).toContain(`\nversion: ${version}\n`);
  expect(shown).toContain(`appVersion: ${version}\n`);
});

it("starts the image of the Dockerfile by its digest, without a value that names it", () => {
  const form = [
    "--kube-version",
    "1.36.3",
    "--set",
    "keys.existingSecret=nexusd-own-keys,injector.enabled=true",
  ];
  const text = helm("template", "nexusd", chart, ...form);
  const images = [...text.matchAll(/^\s+(?:- )?image: "?([^"\n]+)"?$/gm)].map(([, name]) => name);
  expect(new Set(images)).toEqual(new Set([`${repository}:${version}@${digest}`]));
});
