import type * as oauth from "oauth4webapi";
import type { Clock } from "../../runtime/clock.js";
import type { Secret } from "../../runtime/secret.js";
import type { DpopNonces } from "./dpop_nonces.js";
import { dpopHandle } from "./dpop_proof.js";

/** The key of a connection, to be proved at a token endpoint. */
export interface DpopBinding {
  readonly key: Secret;
  readonly nonces: DpopNonces;
  /** Whether a token that is not bound must not be served. */
  readonly isRequired: boolean;
}

/** The proofs of one token request (RFC 9449 section 5), which may have to go out twice. */
export class DpopRequests {
  readonly isRequired: boolean;
  #sentNonce: string | undefined;
  #isNonceWanted = false;

  /** @param server its issuer, or the origin of its token endpoint */
  constructor(
    private readonly binding: DpopBinding,
    private readonly server: string,
    private readonly clock: Clock,
  ) {
    this.isRequired = binding.isRequired;
  }

  /** @throws DataLoss when the key cannot be used */
  async handle(): Promise<oauth.DPoPHandle> {
    return await dpopHandle(this.binding.key, this.clock, () => {
      this.#sentNonce = this.#nonce();
      return { nonce: this.#sentNonce };
    });
  }

  /** Any answer may bring the next nonce (section 8.2). */
  answered(headers: Headers): void {
    this.binding.nonces.remember(this.server, headers.get("dpop-nonce"));
  }

  /** @param error word of an answer, whose status is `status` */
  judged(status: number, error: string | undefined): void {
    this.#isNonceWanted = status >= 400 && status < 500 && error === "use_dpop_nonce";
  }

  /** Whether the server wants another nonce than the request had, and has reported which. */
  mustSendAgain(): boolean {
    return this.#isNonceWanted && this.#nonce() !== this.#sentNonce;
  }

  #nonce(): string | undefined {
    return this.binding.nonces.get(this.server);
  }
}
