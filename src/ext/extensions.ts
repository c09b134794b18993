import type { Extension } from "../cli/shell/shell.js";
import { webConsole } from "./console/extension.js";
import { manifest } from "./manifest/extension.js";
import { mcp } from "./mcp/extension.js";

/** The only place that names the extensions. Without its folder and its lines here, the rest builds and runs. */
export const extensions: readonly Extension[] = [webConsole, manifest, mcp];
