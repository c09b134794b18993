import type { Core, RunningExtension } from "../../../daemon/extension.js";
import type { EgressSession } from "../../../gen/nexus/v1/egress_pb.js";
import { Descriptors } from "../../../server/kit.js";
import { Dialer, trustedRoots } from "../proxy/dial.js";
import { egressSettings } from "../proxy/egress_settings.js";
import { CallerConnections } from "./caller_connections.js";
import { CallerSessions } from "./caller_sessions.js";
import { daemonAuthority } from "./daemon_authority.js";
import { EgressListener } from "./egress_listener.js";
import { EgressMetrics } from "./session_record.js";

/** The egress listener of a daemon. @throws StartRefused */
export async function openListener({
  options,
  resources,
  domain,
  environment,
}: Core): Promise<RunningExtension & { readonly listed: () => readonly EgressSession[] }> {
  const { config, clock } = options;
  const settings = egressSettings.of(config);
  const { store, opened } = resources;
  const authority = await daemonAuthority({
    ...{ dataDir: config.dataDir, files: settings.authority, clock, log: options.log },
    ...{ vault: opened.vault, databaseId: store.databaseId, changes: domain.changes },
  });
  const dialer = new Dialer(
    ...([trustedRoots(environment), clock, config.providerNetworks, config.webProxies] as const),
    Descriptors.ofProcess(),
  );
  const { network, user } = settings;
  let listed: () => readonly EgressSession[] = () => [];
  return {
    listed: () => listed(),
    listeners: ({ servicesAt }) => ({
      name: "egress",
      make: (place) => {
        const metrics: EgressMetrics = new EgressMetrics(resources.metrics, () => sessions.size);
        const sessions: CallerSessions = new CallerSessions({
          ...{
            authority,
            dialer,
            network,
            user,
            clock,
            store,
            access: domain.access,
            rules: domain.rules,
            fleet: domain.guard.fleet,
            metrics,
          },
          log: options.log,
          services: servicesAt("egress"),
        });
        listed = () => sessions.list();
        const connections = new CallerConnections(settings.maxConnectionsPerPrincipal);
        const onRefused = (kind: string): void => metrics.refused(kind);
        return settings.listen.map(
          (listen) =>
            new EgressListener({
              ...{ ...place, listen, sessions, connections, dialer, onRefused },
              authority: authority.pem,
            }),
        );
      },
    }),
  };
}
