import { dirname, join } from "node:path";
import { type Catalogue, type ProviderTemplate, placeholderOf } from "../../catalogue/catalogue.js";
import type { ProviderRoute } from "./proxy/routes.js";

/** Variables by which programs find their proxy; many read the names in lower case alone. */
const proxyVariables = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];
/** This machine is reached without the proxy, unless a provider is there. */
const local = ["localhost", "127.0.0.1", "::1"];
/** Variables by which runtimes find the certificates that they trust, by what reads them. */
const bundleVariables = [
  "SSL_CERT_FILE", // OpenSSL, Go, Ruby, Rust, streams of PHP
  "REQUESTS_CA_BUNDLE", // Python requests, botocore
  "HTTPLIB2_CA_CERTS", // Python httplib2
  "PERL_LWP_SSL_CA_FILE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "CARGO_HTTP_CAINFO",
  "PIP_CERT",
  "npm_config_cafile",
  "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
  "NIX_SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "DENO_CERT",
];
/** Curl in PHP reads no variable: what a file of settings beside the bundle says. PHP's streams read that of OpenSSL. */
export function phpSettings(bundle: string): { readonly file: string; readonly text: string } {
  return { file: join(dirname(bundle), "php.ini"), text: `curl.cainfo="${bundle}"\n` };
}

/**
 * What `nexusd` takes from its environment: the program has no business with the daemon. AWS_CA_BUNDLE would name other certificates, and
 * stops Go's SDK of AWS in programs with a client of their own, as rclone. Those who read it read another variable, too.
 */
const notPassed = /^(NEXUS_.*|AWS_CA_BUNDLE)$/;

/**
 * The environment of a program whose requests go through the proxy.
 *
 * @param bundle a file of what programs trust today, and the certificate of the session, PEM
 */
export function programEnvironment(
  env: NodeJS.ProcessEnv,
  proxy: URL,
  bundle: string,
  placeholders: Readonly<Record<string, string>>,
  routes: readonly ProviderRoute[] = [],
): NodeJS.ProcessEnv {
  const served = routes.flatMap(({ places }) => places.map(({ host }) => host.replace(/^\[|\]$/g, "")));
  const direct = local.filter((name) => !served.includes(name)).join(",");
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !notPassed.test(name)));
  const url = proxy.href.replace(/\/$/, "");
  const proxies = proxyVariables.flatMap((name) => [
    [name, url],
    [name.toLowerCase(), url],
  ]);
  return {
    ...own,
    ...Object.fromEntries(proxies),
    NO_PROXY: direct,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: "1",
    ...Object.fromEntries(bundleVariables.map((name) => [name, bundle])),
    // An empty folder in it stands for the one that PHP was built for.
    PHP_INI_SCAN_DIR: `${own["PHP_INI_SCAN_DIR"] ?? ""}:${dirname(bundle)}`,
    ...placeholders,
  };
}

/**
 * The variables of a program that hold a placeholder, of the form that their tools check: those of the providers' tools, and what was
 * requested. A placeholder is taken out of each request, and worth nothing.
 *
 * @param given by the name of the variable, that of the provider
 */
export function placeholdersFor(
  routes: readonly ProviderRoute[],
  given: Readonly<Record<string, string>>,
  catalogue: Catalogue,
): Record<string, string> {
  const templates = catalogue.list({ limit: Number.POSITIVE_INFINITY });
  const routeOf = (template: ProviderTemplate) => {
    const host = apiHost(template);
    return routes.find(({ places }) => places.some((place) => place.host === host));
  };
  const known = templates.flatMap((template) => {
    const route = routeOf(template);
    return route ? template.toolVariables.map((name) => [name, route.providerName] as const) : [];
  });
  const named = [...known, ...Object.entries(given)];
  return Object.fromEntries(
    named.map(([name, providerName]) => {
      const ofProvider = templates.filter((template) => routeOf(template)?.providerName === providerName);
      const [form] = [
        ...ofProvider.filter(({ toolVariables }) => toolVariables.includes(name)),
        ...ofProvider,
      ].flatMap(({ keyForms }) => keyForms);
      return [name, placeholderOf(form, providerName)];
    }),
  );
}

function apiHost({ settings }: ProviderTemplate): string {
  return URL.canParse(settings.apiBaseUrl) ? new URL(settings.apiBaseUrl).host : "";
}
