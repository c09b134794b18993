import { ExtensionTable } from "../../../core/registry.js";

const gone = { isEmptyAfterRestore: true } as const;

/** In order per receiver and subject. After a restore, the original may have sent them. */
export const notifications = new ExtensionTable<[receiver: string, subject: string, number: number]>(
  "notifications",
  gone,
);

export const notificationsDue = new ExtensionTable<
  [receiver: string, nextAttemptMs: number, subject: string]
>("notifications_due", gone);

/** When a connection is looked at for a consent that ends soon; see `encodeCount`. */
export const expiries = new ExtensionTable<string>("expiries");

export const expiriesDue = new ExtensionTable<[atMs: number, connectionId: string]>("expiries_due");

export const consentLinks = new ExtensionTable<[expiresAtMs: number, codeHash: string]>("consent_links");

export const alertTables = [notifications, notificationsDue, expiries, expiriesDue, consentLinks];
