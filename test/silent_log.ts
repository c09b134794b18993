/** A logger for tests that do not judge what is logged. */
export const silentLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
