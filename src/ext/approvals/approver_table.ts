import { ExtensionTable } from "../../core/registry.js";

/** By the name of the approver. */
export const approverTable = new ExtensionTable<string>("approvers");
