import { writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Catalogue } from "../../catalogue/catalogue.js";
import {
  CommandFailure,
  clientConfigOf,
  credentialRpcs,
  type DaemonFlags,
  type DaemonSession,
  keepLease,
  printable,
  providerHint,
  type Shell,
  usageFailure,
  withDaemon,
} from "../../cli/kit.js";
import { readAuthorityFiles, readWebProxies, SettingReader } from "../../config/config.js";
import { exitCodes } from "../../core/registry.js";
import { readingMethods } from "../../model/access/access.js";
import type { WebProxySettings } from "../../outbound/outbound.js";
import { Authority } from "../../server/kit.js";
import { cleanEnvironment } from "./isolation/clean_environment.js";
import { type Isolation, isolated } from "./isolation/isolation.js";
import { isolatedPort } from "./isolation/relay.js";
import { phpSettings, placeholdersFor, programEnvironment } from "./program_environment.js";
import { ProgramProxy } from "./program_proxy.js";
import { BodyBudget, maxHeldByCaller } from "./proxy/body.js";
import { isRefused, SessionCredentials } from "./proxy/credentials.js";
import { Dialer, type Origin, trustedRoots } from "./proxy/dial.js";
import type { EgressNetwork } from "./proxy/egress_settings.js";
import { OpenUses } from "./proxy/open_uses.js";
import { type NamedRoute, routeOf, SessionRoutes } from "./proxy/routes.js";
import { EgressSession } from "./proxy/session.js";
import { Upstream } from "./proxy/upstream.js";
import { reportSession, SessionCounts } from "./sessions/session_counts.js";

/** Its key is in the memory of this process alone, and ends with it. */
const authorityOfSession = { name: "nexusd egress of one session", days: 30 };

/** What `nexusd run` was given. */
export interface RunFlags extends DaemonFlags {
  readonly user?: string;
  readonly allow?: readonly NamedRoute[];
  readonly readOnly?: boolean;
  readonly method?: readonly string[];
  readonly path?: readonly string[];
  readonly network: EgressNetwork;
  readonly isolate?: boolean;
  readonly share?: readonly string[];
  /** Names of variables that an isolated program gets too. */
  readonly env?: readonly string[];
  readonly for?: number;
  /** By the name of the variable, that of the provider. */
  readonly placeholder?: Readonly<Record<string, string>>;
  readonly waitForConsent?: boolean;
  /** This process is in the namespaces that `--isolate` made: where the proxy's socket is. */
  readonly relay?: string;
}

/** Runs the program beside a proxy of its own, to its end. @throws CommandFailure with the program's exit code */
export async function runProgram(shell: Shell, argv: readonly string[], flags: RunFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const userId = flags.user ?? shell.userName();
    const routes = await routesOf(session, flags, userId);
    const roots = trustedRoots(shell.env);
    const dialer = new Dialer(roots, shell.clock, undefined, proxiesOf(shell));
    const upstream = new Upstream(dialer);
    try {
      const authority = await Authority.create(routes.hostNames, shell.clock, authorityOfSession);
      const credentials = credentialsOf(shell, session, flags, userId);
      const uses = new OpenUses({
        watch: (names, signal) => credentials.watch(names, signal),
        isRefused,
        onRefused: () => end(shell, "the daemon does not let it call APIs any more", egress),
        clock: shell.clock,
      });
      const { network, path: paths } = flags;
      const methods = methodsOf(flags);
      const record = new SessionCounts();
      const bodies = new BodyBudget(maxHeldByCaller);
      const authorities = readAuthorityFiles(new SettingReader(shell.env, {}));
      const allowed = { routes, methods, paths, network };
      const parts = { ...allowed, authority, authorities, credentials, upstream, bodies, uses, record };
      const egress: EgressSession = new EgressSession(parts);
      const proxy = new ProgramProxy({
        session: egress,
        dialer,
        tell: (text) => shell.stderr.write(`nexusd: ${text}\n`),
      });
      if (flags.for !== undefined)
        shell.clock.setTimer(flags.for, () => end(shell, "the time of --for is over", proxy));
      const about = { id: credentials.sessionId, userId, ...registrationOf(shell, argv, flags) };
      const endReports = reportSession(session, about, record, shell.clock);
      const stopRenewing = keepLease(session);
      try {
        const code = await shell.withTemporaryFolder("nexusd-run", (folder) =>
          ran(shell, argv, flags, { proxy, authority, routes, roots, folder }),
        );
        if (!flags.isolate) sayUnused(shell, record);
        if (code !== exitCodes.ok) throw new CommandFailure(code, "");
      } finally {
        void stopRenewing();
        proxy.close();
        await endReports();
      }
    } finally {
      upstream.close();
    }
  });
}

/** The program's own way out of this machine, before it got the proxy of the session. @throws ConfigError */
function proxiesOf({ env }: Shell): WebProxySettings {
  const reader = new SettingReader(env, {});
  const proxies = readWebProxies(reader);
  reader.throwViolations();
  return proxies;
}

function methodsOf({ readOnly, method = [] }: RunFlags): string[] | undefined {
  const methods = [...(readOnly ? readingMethods : []), ...method];
  return methods.length === 0 ? undefined : methods;
}

function registrationOf({ clock }: Shell, [command = ""]: readonly string[], flags: RunFlags) {
  const program = basename(command).slice(0, 255);
  return { program, ...(flags.for !== undefined && { until: timestampFromMs(clock.nowMs() + flags.for) }) };
}

interface ProgramParts {
  readonly proxy: ProgramProxy;
  readonly authority: Authority;
  readonly routes: SessionRoutes;
  readonly roots: string;
  /** Of the session; removed at its end. */
  readonly folder: string;
}

async function ran(
  shell: Shell,
  argv: readonly string[],
  flags: RunFlags,
  parts: ProgramParts,
): Promise<number> {
  const { proxy, authority, roots, folder } = parts;
  const bundle = join(folder, "bundle.pem");
  writeFileSync(bundle, `${roots}\n${authority.pem}`);
  const php = phpSettings(bundle);
  writeFileSync(php.file, php.text);
  const catalogue = await Catalogue.open(undefined);
  const placeholders = placeholdersFor(parts.routes.all, flags.placeholder ?? {}, catalogue);
  const environmentWith = (env: NodeJS.ProcessEnv, url: URL): NodeJS.ProcessEnv =>
    programEnvironment(env, url, bundle, placeholders, parts.routes.all);
  if (!flags.isolate) return await shell.runProgram(argv, environmentWith(shell.env, await proxy.open()));
  const own = cleanEnvironment(shell.env, flags.env ?? []);
  const isolation = isolationOf(shell, flags, folder, parts.routes);
  const command = await isolated(argv, isolation);
  const url = await proxy.open({ socket: isolation.socket, port: isolatedPort });
  return await shell.runProgram(command.argv, environmentWith(own, url), command);
}

/** What an isolated program sees, and what it must not see. */
function isolationOf(shell: Shell, flags: RunFlags, session: string, routes: SessionRoutes): Isolation {
  const { NEXUS_ADDRESS: _, ...env } = shell.env;
  // Its own data folder is hidden too where the daemon is reached in another way.
  const configs = [
    clientConfigOf(shell, flags),
    clientConfigOf({ ...shell, env }, { ...flags, address: undefined } as RunFlags),
  ];
  const hidden = configs.flatMap((config) => {
    if (config.kind === "unix") return [dirname(config.path)];
    return config.apiKey?.source === "file" ? [config.apiKey.path] : [];
  });
  // Keys and certificates, of the client and of a daemon with this environment.
  const files = Object.entries(env).flatMap(([name, value]) =>
    /^NEXUS_.*_FILE$/.test(name) && value ? [resolve(value)] : [],
  );
  return {
    session,
    socket: join(session, "proxy.sock"),
    direct: [...routes.origins, ...namedHosts(flags.network)],
    hidden: [...hidden, ...files],
    homes: [shell.env["HOME"] ?? "", homeOfUser()].filter(isAbsolute),
    temporary: tmpdir(),
    work: process.cwd(),
    share: flags.share ?? [],
    path: shell.env["PATH"] ?? "",
  };
}

/** Hosts that `--network` names, at the port of https; of a wildcard nobody knows the names. */
function namedHosts(network: EgressNetwork): Origin[] {
  if (typeof network === "string") return [];
  return network.hosts.filter((host) => !host.startsWith("*.")).map((host) => ({ host, port: 443 }));
}

/** Many programs do not say that they went around the proxy: the API has refused their placeholder by then. */
function sayUnused({ stderr }: Shell, record: SessionCounts): void {
  if (!record.isUnused || !stderr.isTTY) return;
  const why = "some programs ignore HTTPS_PROXY, and some do not trust the certificate of SSL_CERT_FILE";
  const advice = "docs/egress.md lists them; nexusd run --isolate carries their requests too";
  stderr.write(
    `nexusd: no request of the program came through the proxy, so none got a credential: ${why}. ${advice}\n`,
  );
}

/** As the system has it, whatever `HOME` says; empty where the system does not know the user. */
function homeOfUser(): string {
  try {
    return userInfo().homedir;
  } catch {
    return "";
  }
}

function end(shell: Shell, why: string, ended: { close(): void }): void {
  shell.stderr.write(`nexusd: ${why}: the program can send no more requests\n`);
  ended.close();
}

function credentialsOf(
  shell: Shell,
  session: DaemonSession,
  flags: RunFlags,
  userId: string,
): SessionCredentials {
  const printedLinks = new Set<string>();
  return new SessionCredentials({
    rpcs: credentialRpcs(session.daemon),
    userId,
    waitsForConsent: flags.waitForConsent ?? false,
    onConsent: (providerName, link) => {
      if (printedLinks.has(link)) return;
      printedLinks.add(link);
      shell.stderr.write(`${printable(`nexusd: ${providerName}/${userId} needs you: open ${link}`)}\n`);
    },
  });
}

/** @throws CommandFailure for a provider that the daemon does not have, and one that names no host */
async function routesOf(session: DaemonSession, { allow }: RunFlags, userId: string): Promise<SessionRoutes> {
  const { daemon, listAll } = session;
  const { listProviders } = daemon.providers;
  const list = await listAll("list the providers", listProviders, {}, (page) => page.providers);
  if (!allow) {
    const routes = list.map((provider) => routeOf(provider, "")).filter(({ places }) => places.length > 0);
    if (routes.length === 0)
      throw usageFailure(
        "no provider has an https API base URL: run `nexusd provider update NAME --api-base-url https://...`, or `nexusd provider add`",
      );
    const [what, { listConnections }] = ["list the connections", daemon.connections] as const;
    const own = await listAll(what, listConnections, { userId }, (page) => page.connections);
    const ids = new Set(own.map(({ providerId }) => providerId));
    const isConnected = ({ providerName }: NamedRoute): boolean =>
      list.some(({ id, name }) => name === providerName && ids.has(id));
    return new SessionRoutes(() => routes, isConnected);
  }
  const unknown = allow.find(({ providerName }) => list.every(({ name }) => name !== providerName));
  if (unknown) {
    const hint = await providerHint(session, unknown.providerName);
    throw usageFailure(`--allow ${printable(unknown.providerName)}: there is no such provider: ${hint}`);
  }
  const routes = allow.flatMap(({ providerName, label }) => {
    const provider = list.find(({ name }) => name === providerName);
    if (!provider) return [];
    const named = `--allow ${printable(providerName)}`;
    const route = routeOf(provider, label);
    if (route.places.length > 0) return route;
    throw usageFailure(
      `${named}: the provider names no https host: nexusd provider update ${providerName} --api-base-url https://api.example.com`,
    );
  });
  return new SessionRoutes(() => routes);
}
