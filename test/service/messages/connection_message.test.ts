import { expect, it } from "vitest";
import { changeConnection, consentEnded } from "../../../src/domain/connections/connection_change.js";
import { refusedLately } from "../../../src/model/connections/refused_consent.js";
import { connectionMessage } from "../../../src/service/messages/connection_message.js";
import { aConnection, nowMs } from "../../samples.js";

it.each([
  ["account_changed", "account_changed"],
  ["client_rejected", undefined],
  ["consent_expired", undefined],
] as const)(
  "says that a request of a living connection ended with %s, which is no problem of the connection",
  (reason, isRefusedFor) => {
    const active = aConnection({ status: "active", requestExpiresAtMs: nowMs + 1 });
    const ended = changeConnection(active, consentEnded(active, "failed", reason, nowMs, "so it is"), nowMs);
    expect(connectionMessage(ended)).toMatchObject({
      requestProblem: { reason, message: expect.stringMatching(/: so it is\.$/) },
    });
    expect(connectionMessage(ended).problem).toBeUndefined();
    // Only what the person or the provider refused would be refused again.
    expect(refusedLately(ended, nowMs)).toBe(isRefusedFor);
  },
);
