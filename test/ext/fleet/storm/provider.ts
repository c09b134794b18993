import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** So long that an answer which a former leader brings home comes before its token's intent is taken for lost. */
const tokenSeconds = 180;

/** A request that turned a refresh token into the next one. */
export interface Rotation {
  readonly grant: string;
  /** The access token that it was answered. */
  readonly attempt: string;
  readonly receivedMs: number;
}

/** An answer that was not used: its token came again, or another is served in its place. */
export interface Loss {
  readonly grant: string;
  readonly atMs: number;
  /** The request that got it; undefined: what came never was a token. */
  readonly rotation: Rotation | undefined;
}

interface Family {
  current: string;
  underWay: number;
  newest: Rotation | undefined;
}

/**
 * An authorization server that rotates refresh tokens, ends the family of one that comes twice (RFC 9700, section 4.14.2), and counts
 * requests of one grant that overlap.
 */
export class CountingProvider {
  readonly #server: Server;
  readonly #families = new Map<string, Family>();
  readonly #rotations = new Map<string, Rotation>();
  readonly reuses: Loss[] = [];
  /** Every request with a refresh token. */
  readonly requests: { readonly grant: string; readonly receivedMs: number }[] = [];
  refreshes = 0;
  overlaps = 0;

  /** @param lifeSeconds of the access tokens that it issues from now on */
  private constructor(public lifeSeconds: number) {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** @param lifeSeconds of its access tokens */
  static async start(lifeSeconds = tokenSeconds): Promise<CountingProvider> {
    const provider = new CountingProvider(lifeSeconds);
    await new Promise<void>((resolve) => provider.#server.listen(0, "127.0.0.1", resolve));
    return provider;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  /** How many requests of a grant came. */
  requestsOf(grant: string): number {
    return this.requests.filter((request) => request.grant === grant).length;
  }

  /** Of each family that lives and was refreshed, the newest. */
  newest(): Rotation[] {
    return [...this.#families.values()].flatMap(({ current, newest }) => (current && newest ? newest : []));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const piece of request) text += String(piece);
    const [status, answer] = await this.#grant(new URLSearchParams(text));
    const bytes = JSON.stringify(answer);
    const head = { "content-type": "application/json", "cache-control": "no-store" };
    response.writeHead(status, { ...head, "content-length": Buffer.byteLength(bytes), connection: "close" });
    response.end(bytes);
  }

  /** RFC 6749, section 6. The first refresh token of a grant is `<grant>#1`, as stores of the bench are filled. */
  async #grant(form: URLSearchParams): Promise<[number, object]> {
    const token = form.get("refresh_token") ?? "";
    const [grant = ""] = token.split("#");
    if (token.endsWith("#1") && !this.#families.has(grant))
      this.#families.set(grant, { current: token, underWay: 0, newest: undefined });
    const receivedMs = Date.now();
    this.requests.push({ grant, receivedMs });
    const family = this.#families.get(grant);
    if (!family) return [400, { error: "invalid_grant" }];
    if (family.underWay > 0) this.overlaps++;
    family.underWay++;
    try {
      // What a kill meets is either side of the rotation.
      await sleep(5 + Math.random() * 60);
      // A family that has ended was counted once.
      if (family.current === "") return [400, { error: "invalid_grant" }];
      if (family.current !== token) {
        this.reuses.push({ grant, atMs: Date.now(), rotation: this.#rotations.get(token) });
        family.current = "";
        return [400, { error: "invalid_grant" }];
      }
      const next = `${grant}#${randomUUID()}`;
      // Says which refresh brought it: whoever sees it knows that the outcome is durable.
      const accessToken = `after_${token.replaceAll("#", "_")}`;
      family.current = next;
      family.newest = { grant, attempt: accessToken, receivedMs };
      this.#rotations.set(token, family.newest);
      this.refreshes++;
      await sleep(Math.random() * 60);
      const answer = { access_token: accessToken, token_type: "Bearer", expires_in: this.lifeSeconds };
      return [200, { ...answer, refresh_token: next }];
    } finally {
      family.underWay--;
    }
  }
}
