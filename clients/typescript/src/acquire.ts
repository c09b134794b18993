import { type Consent, ConsentDenied, ConsentRequired, Unavailable } from "./errors.js";
import type { TokenOptions } from "./nexus.js";
import { type Clock, delay } from "./strategies/clock.js";
import type { Token } from "./token.js";

/** One call of `AcquireToken` waits so long; the daemon allows 60 s. */
const waitMs = 45_000;
const firstDelayMs = 100;
const longestDelayMs = 10_000;

/** Shows a link, or a code, to the person; `reason` says why. What it throws ends the call. */
export type OnConsent = (consent: ShownConsent) => void | Promise<void>;

/** A consent that a person can give. */
export type ShownConsent = Consent & { readonly authUrl: string; readonly connectionId: string };

export interface AcquireOptions extends TokenOptions {
  readonly onConsent?: OnConsent | undefined;
  /** Where the person's browser is sent afterwards, as in `RequestConnection`. */
  readonly returnUrl?: string | undefined;
}

interface Deps {
  /** @throws ConsentRequired */
  readonly ask: (waitMs: number) => Promise<Token>;
  readonly clock: Clock;
}

/**
 * Asks, shows each link once, and asks again with `wait` until there is a token.
 *
 * @throws ConsentDenied when what was shown is answered with no: who shows the next link by itself would do so without end
 */
export async function acquire(deps: Deps, onConsent: OnConsent, signal: AbortSignal): Promise<Token> {
  let shown: string | undefined;
  for (let failures = 0; ; ) {
    signal.throwIfAborted();
    try {
      return await deps.ask(shown === undefined ? 0 : waitMs);
    } catch (error) {
      if (error instanceof ConsentRequired && error.authUrl !== undefined) {
        failures = 0;
        const { authUrl, connectionId = "", reason, expiresAt } = error;
        const { verificationUri, userCode, verificationUriComplete } = error;
        const code =
          verificationUri !== undefined && userCode !== undefined
            ? { verificationUri, userCode, ...(verificationUriComplete ? { verificationUriComplete } : {}) }
            : {};
        const asked = authUrl || userCode;
        if (asked === shown) continue;
        if (shown !== undefined && reason === "access_denied") {
          throw new ConsentDenied(`the person or the provider said no (${reason})`, error, error);
        }
        shown = asked;
        await onConsent({ authUrl, connectionId, reason, expiresAt, ...code });
      } else if (error instanceof Unavailable && shown !== undefined) {
        // The daemon may restart while the person consents.
        const backoffMs = Math.random() * Math.min(longestDelayMs, firstDelayMs * 2 ** failures);
        failures += 1;
        await delay(deps.clock, Math.max(backoffMs, error.retryAfterMs ?? 0), signal);
      } else {
        throw error;
      }
    }
  }
}
