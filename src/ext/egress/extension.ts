import type { Extension } from "../../cli/shell/shell.js";
import { runCommand } from "./run.js";

/** `nexusd run`: a program calls APIs, and the credentials are put in on the way. */
export const egress: Extension = {
  name: "egress",
  open: async (core) => {
    if (core.options.config.egress.listen.length === 0) return undefined;
    const { openListener } = await import("./listener/open_listener.js");
    return await openListener(core);
  },
  commands: [
    {
      group: "Use a credential",
      name: "run",
      summary: "run a program; its requests get their credentials",
      examples: "--read-only -- curl https://api.github.com/user",
      make: runCommand,
    },
  ],
};
