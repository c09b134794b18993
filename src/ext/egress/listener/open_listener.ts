import type { Core } from "../../../core/core.js";
import type { Registry } from "../../../core/registry.js";
import type { EgressSession } from "../../../gen/nexus/v1/egress_pb.js";
import { Descriptors } from "../../../server/kit.js";
import { Dialer, trustedRoots } from "../proxy/dial.js";
import { egressSettings } from "../proxy/egress_settings.js";
import { CallerSessions, EgressMetrics } from "./caller_sessions.js";
import { daemonAuthority } from "./daemon_authority.js";
import { CallerConnections, EgressListener } from "./egress_listener.js";

/** The egress listener of a daemon. @returns who is there @throws StartRefused */
export async function openListener(core: Core, registry: Registry): Promise<() => readonly EgressSession[]> {
  const { config, environment, store, vault, changes, access, member, clock, log } = core;
  const settings = egressSettings.of(config);
  const authority = await daemonAuthority({
    dataDir: config.dataDir,
    files: settings.authority,
    clock,
    log,
    vault,
    databaseId: store.databaseId,
    changes,
  });
  const dialer = new Dialer(
    ...([trustedRoots(environment), clock, config.providerNetworks, config.webProxies] as const),
    await Descriptors.ofProcess(),
  );
  const { network, user } = settings;
  let listed: () => readonly EgressSession[] = () => [];
  registry.listener(({ servicesAt }) => ({
    name: "egress",
    make: (place) => {
      const metrics: EgressMetrics = new EgressMetrics(core.metrics, () => sessions.size);
      const sessions: CallerSessions = new CallerSessions({
        authority,
        dialer,
        authorities: config.authorityFiles,
        network,
        user,
        clock,
        store,
        access: access.control,
        rules: access.rules,
        fleet: member,
        metrics,
        log,
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
  }));
  return () => listed();
}
