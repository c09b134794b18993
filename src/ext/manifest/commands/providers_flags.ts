import type { DaemonFlags } from "../../../cli/shell/daemon_command.js";

export interface PlanFlags extends DaemonFlags {
  readonly file: string;
  readonly catalog?: string;
  readonly prune?: boolean;
  readonly rotateSecrets?: boolean;
  readonly detailedExitcode?: boolean;
}

export interface ApplyFlags extends PlanFlags {
  readonly yes?: boolean;
}

export interface ExportFlags extends DaemonFlags {
  readonly file: string;
  readonly force?: boolean;
}
