import { expect, it } from "vitest";
import { Catalogue } from "../../../src/catalogue/catalogue.js";
import {
  phpSettings,
  placeholdersFor,
  programEnvironment,
} from "../../../src/ext/egress/program_environment.js";
import { routeOf } from "../../../src/ext/egress/proxy/routes.js";

it("gives the tools of a provider a placeholder without being asked, and what was asked for", async () => {
  const github = routeOf({ name: "work", apiBaseUrl: "https://api.github.com", apiHosts: [] }, "");
  const names = placeholdersFor([github], { OWN_TOKEN: "acme" }, await Catalogue.open(undefined));
  expect(Object.keys(names).sort()).toEqual([
    "GH_TOKEN",
    "GITHUB_PERSONAL_ACCESS_TOKEN",
    "GITHUB_TOKEN",
    "OWN_TOKEN",
  ]);
  expect(names["GITHUB_TOKEN"]).toMatch(/^ghp_nexusdPlaceholderKqv[A-Za-z]{16}$/);
  expect(names["OWN_TOKEN"]).toContain("acme");
});

it("leads a program to this machine by the proxy only where a provider is there", () => {
  const weather = routeOf({ name: "weather", apiBaseUrl: "https://localhost:8443/v1", apiHosts: [] }, "");
  const proxy = new URL("http://127.0.0.1:1");
  expect(programEnvironment({}, proxy, "b.pem", {})["NO_PROXY"]).toBe("localhost,127.0.0.1,::1");
  expect(programEnvironment({}, proxy, "b.pem", {}, [weather])["no_proxy"]).toBe("127.0.0.1,::1");
});

it("names the certificates of the session to each runtime, and to none in a way that stops it", () => {
  const own = { AWS_CA_BUNDLE: "own.pem", HTTPLIB2_CA_CERTS: "own.pem", NEXUS_API_KEY: "secret", LANG: "C" };
  const env = programEnvironment(own, new URL("http://127.0.0.1:1"), "b.pem", {});
  const bundles = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPLIB2_CA_CERTS", "PERL_LWP_SSL_CA_FILE"];
  expect(env).toMatchObject({ LANG: "C", ...Object.fromEntries(bundles.map((name) => [name, "b.pem"])) });
  expect(Object.keys(env)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(AWS_CA|NEXUS_)/)]));
});

it("names the certificates to curl of PHP in a file of settings, beside those of the user", () => {
  const proxy = new URL("http://127.0.0.1:1");
  const scanned = (own: NodeJS.ProcessEnv) =>
    programEnvironment(own, proxy, "/s/b.pem", {})["PHP_INI_SCAN_DIR"];
  expect([scanned({}), scanned({ PHP_INI_SCAN_DIR: "/own" })]).toEqual([":/s", "/own:/s"]);
  expect(phpSettings("/s/b.pem")).toEqual({ file: "/s/php.ini", text: 'curl.cainfo="/s/b.pem"\n' });
});

it("knows further hosts of the APIs of common templates", async () => {
  const templates = await Catalogue.open(undefined);
  for (const [name, host] of [
    ["github", "uploads.github.com"],
    ["google", "*.googleapis.com"],
    ["dropbox", "content.dropboxapi.com"],
  ] as const)
    expect(templates.find(name)?.settings.apiHosts).toEqual([host]);
});
