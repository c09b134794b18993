import type { DaemonFlags } from "../../cli/shell/daemon_command.js";
import type { EgressNetwork } from "../../config/rows/egress_settings.js";
import type { NamedRoute } from "./proxy/routes.js";

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
  readonly for?: number;
  /** By the name of the variable, that of the provider. */
  readonly placeholder?: Readonly<Record<string, string>>;
  readonly waitForConsent?: boolean;
  /** This process is in the namespaces that `--isolate` made: where the proxy's socket is. */
  readonly relay?: string;
}
