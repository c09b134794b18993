import type { DaemonFlags } from "../shell/daemon_command.js";

export interface ExplainFlags extends DaemonFlags {
  readonly principal: string;
  readonly action: string;
  readonly resource?: string;
  readonly policy?: string;
  readonly exitCode?: boolean;
}
