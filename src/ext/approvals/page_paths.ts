/** Below it, each held request by its link. */
export const approvePath = "/approve";
/** With the code of a link in the query, which no log has. */
export const registerPath = "/register";
/** Of the pages, where a hub asks the one that leads. */
export const listenerName = "approvals";
