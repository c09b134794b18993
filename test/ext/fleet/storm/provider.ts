import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** So long that an answer which a former leader brings home comes before its token's intent is taken for lost. */
const tokenSeconds = 180;

/** A request that turned a refresh token into the next one. */
export interface Rotation {
  readonly grant: string;
  readonly attempt: string;
  /** The process that sent it. */
  readonly owner: string;
  readonly receivedMs: number;
}

/** A refresh token came that was used before, or of a family that ended. */
export interface Reuse {
  readonly grant: string;
  readonly atMs: number;
  /** Of the token that came; undefined: it never was one. */
  readonly rotation: Rotation | undefined;
}

interface Family {
  current: string;
  underWay: number;
}

export interface TokenRequest {
  readonly grant: string;
  readonly token: string;
  readonly attempt: string;
  readonly owner: string;
}

/**
 * An authorization server that rotates refresh tokens, ends the family of one that comes twice (RFC 9700, section 4.14.2), and counts
 * requests of one grant that overlap.
 */
export class CountingProvider {
  readonly #server: Server;
  readonly #families = new Map<string, Family>();
  readonly #rotations = new Map<string, Rotation>();
  readonly reuses: Reuse[] = [];
  readonly #received = new Map<string, number>();
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
    return this.#received.get(grant) ?? 0;
  }

  /** A person's consent: the first refresh token of a grant, or of its next family. */
  consent(grant: string): string {
    const current = randomUUID();
    this.#families.set(grant, { current, underWay: this.#families.get(grant)?.underWay ?? 0 });
    return current;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const piece of request) text += String(piece);
    const [status, answer] = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded")
      ? await this.#grant(new URLSearchParams(text))
      : await this.#ask(request.url, JSON.parse(text) as TokenRequest);
    const bytes = JSON.stringify(answer);
    const head = { "content-type": "application/json", "cache-control": "no-store" };
    response.writeHead(status, { ...head, "content-length": Buffer.byteLength(bytes), connection: "close" });
    response.end(bytes);
  }

  async #ask(url: string | undefined, body: TokenRequest): Promise<[number, object]> {
    if (url === "/consent") return [200, { token: this.consent(body.grant) }];
    return await this.#refresh(body);
  }

  /** RFC 6749, section 6. The first refresh token of a grant is `<grant>#1`, as stores of the bench are filled. */
  async #grant(form: URLSearchParams): Promise<[number, object]> {
    const token = form.get("refresh_token") ?? "";
    const [grant = ""] = token.split("#");
    if (token.endsWith("#1") && !this.#families.has(grant))
      this.#families.set(grant, { current: token, underWay: 0 });
    // Says which refresh brought it: whoever sees it knows that the outcome is durable.
    const accessToken = `after_${token.replaceAll("#", "_")}`;
    const [status, answer] = await this.#refresh({ grant, token, attempt: accessToken, owner: "" });
    if (!("token" in answer)) return [status, answer];
    const next = `${grant}#${String(answer.token)}`;
    const family = this.#families.get(grant);
    if (family) family.current = next;
    return [
      200,
      { access_token: accessToken, token_type: "Bearer", expires_in: this.lifeSeconds, refresh_token: next },
    ];
  }

  async #refresh({ grant, token, attempt, owner }: TokenRequest): Promise<[number, object]> {
    const receivedMs = Date.now();
    this.#received.set(grant, this.requestsOf(grant) + 1);
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
      family.current = randomUUID();
      this.#rotations.set(token, { grant, attempt, owner, receivedMs });
      this.refreshes++;
      const next = family.current;
      await sleep(Math.random() * 60);
      return [200, { token: next }];
    } finally {
      family.underWay--;
    }
  }
}
