import { ExtensionTable } from "../../../core/registry.js";

/** By the SHA-256 of the agent, provider, host, method, and path. */
export const templateTable = new ExtensionTable<Buffer>("request_templates", { isKeyedByBytes: true });
