import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { error, type Reply } from "./hostile_answers.js";

/** What a token endpoint demands of proofs (RFC 9449 sections 4.3 and 8): a nonce of its own, each `jti` once, and the one key of a grant. */
export class ProofCheck {
  readonly #nonces = new Map<string, number>();
  readonly #seen = new Set<string>();

  /** From now on requests at this provider must carry proofs. */
  demand(provider: string): void {
    this.#nonces.set(provider, 1);
  }

  demands(provider: string): boolean {
    return this.#nonces.has(provider);
  }

  /** The nonce that was good is good no longer. */
  renew(provider: string): void {
    const count = this.#nonces.get(provider);
    if (count !== undefined) this.#nonces.set(provider, count + 1);
  }

  /**
   * @returns the key that is proved; an answer where the proof is refused; undefined where none is demanded
   * @throws Error for a proof that no client may send
   */
  judge(provider: string, proof: string | undefined): { readonly key: string } | Reply | undefined {
    if (!this.demands(provider)) return undefined;
    const [head = "", body = "", signature = ""] = (proof ?? "").split(".");
    const { jwk } = read(head) as { jwk: JsonWebKey };
    const { htm, htu, jti, nonce } = read(body);
    if (jwk["d"] !== undefined) throw new Error("a proof shows its private key");
    const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" as const };
    const isSigned = verify(
      "sha256",
      Buffer.from(`${head}.${body}`),
      key,
      Buffer.from(signature, "base64url"),
    );
    if (!isSigned || htm !== "POST" || htu !== `https://${provider}.example/token`)
      throw new Error("a proof is none of the request");
    if (this.#seen.has(String(jti))) throw new Error("a proof was sent twice");
    this.#seen.add(String(jti));
    const wanted = `${provider}-${this.#nonces.get(provider)}`;
    if (nonce === wanted) return { key: `${jwk["x"]}.${jwk["y"]}` };
    const refusal = error(400, "use_dpop_nonce");
    return { ...refusal, headers: { ...refusal.headers, "dpop-nonce": wanted } };
  }
}

function read(part: string): Record<string, unknown> {
  if (part === "") throw new Error("a request has no proof");
  return JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as Record<string, unknown>;
}
