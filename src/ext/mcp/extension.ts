import type { Extension } from "../../cli/shell/shell.js";
import { mcpCommand } from "./mcp.js";

/** `nexusd mcp`: connections as tools of the Model Context Protocol. */
export const mcp: Extension = {
  name: "mcp",
  commands: [mcpCommand],
  examples: { mcp: "--provider github --method GET --method POST" },
};
