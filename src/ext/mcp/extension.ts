import type { Extension } from "../../core/registry.js";
import { mcpCommand } from "./mcp.js";

/** `nexusd mcp`: connections as tools of the Model Context Protocol. */
export const mcp: Extension = {
  name: "mcp",
  commands: [
    {
      group: "Use a credential",
      name: "mcp",
      summary: "give a model APIs as tools; it never sees a credential",
      examples: "--provider github --method GET --method POST",
      make: mcpCommand,
    },
  ],
};
