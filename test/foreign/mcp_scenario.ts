import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { Browser } from "../fakes/browser.js";
import { eventually } from "./eventually.js";
import type { Person } from "./foreign_server.js";
import { accessTokenOf, codeOf, type Sidecar } from "./sidecar.js";
import { equal } from "./stage.js";

/** Longer than any of the tokens lives. */
const maxSeconds = 150;

/** What must hold at an MCP server of which the daemon knows the URL alone, and which consents by itself. */
export class McpScenario {
  constructor(
    private readonly url: string,
    private readonly sidecar: Sidecar,
    /** Ends the server and starts it again: it knows nothing any more. */
    private readonly restart: () => Promise<void>,
  ) {}

  async checkConsent(person: Person): Promise<string> {
    const { authUrl, connectionId } = await this.#link(person);
    await this.#consent(authUrl);
    await this.#isServed(person);
    return connectionId;
  }

  async checkRefresh(person: Person, connectionId: string): Promise<void> {
    const { token } = await this.sidecar.tokens.refreshToken({ connectionId });
    equal(token?.revision, 2n, "the revision");
    await this.#isServed(person);
  }

  /** The server says of the refresh token that it is dead, in its own words: the person is asked again, and nobody else. */
  async checkEnded(person: Person, connectionId: string): Promise<void> {
    await fetch(new URL("/end", this.url), { method: "POST" });
    equal(
      await codeOf(this.sidecar.tokens.refreshToken({ connectionId })),
      "FailedPrecondition",
      "a refresh",
    );
    const { connection } = await this.sidecar.connections.getConnection({ connectionId });
    equal(connection?.status, ConnectionStatus.ATTENTION, "the status");
    const link = await this.#link(person);
    equal(link.connectionId, connectionId, "the connection");
    await this.#consent(link.authUrl);
    await this.#isServed(person);
  }

  /** An agent asks for its token: the person is asked again, by a client that the server knows. */
  async checkLostClient(person: Person, connectionId: string): Promise<void> {
    await this.restart();
    equal(
      await codeOf(this.sidecar.tokens.refreshToken({ connectionId })),
      "FailedPrecondition",
      "a refresh",
    );
    const link = await eventually("a link instead of the token", maxSeconds, () => this.#link(person));
    equal(link.connectionId, connectionId, "the connection");
    await this.#consent(link.authUrl);
    await this.#isServed(person);
  }

  /** The server is started again between the link and the person who opens it. */
  async checkOldLink(person: Person): Promise<void> {
    const { authUrl } = await this.#link(person);
    await this.restart();
    await this.#consent(authUrl);
    await this.#isServed(person);
  }

  async #acquire(userId: Person) {
    return (await this.sidecar.tokens.acquireToken({ mcpServerUrl: this.url, userId })).result;
  }

  async #link(person: Person) {
    const result = await this.#acquire(person);
    if (result.case !== "consent") throw new Error(`a ${result.case}, not a link`);
    return result.value;
  }

  async #consent(authUrl: string): Promise<void> {
    const { status, url, body } = await new Browser().get(authUrl);
    if (status !== 200 || !/<h1[^>]*>Connected</.test(body))
      throw new Error(`at ${url.split("?")[0]}: ${status} ${body.slice(0, 1_000)}`);
  }

  /** The server takes the token. */
  async #isServed(person: Person): Promise<void> {
    const result = await this.#acquire(person);
    if (result.case !== "token") throw new Error(`a ${result.case}, not a token`);
    const { status } = await fetch(this.url, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${accessTokenOf(result.value)}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
    });
    if (status === 401 || status === 403) throw new Error(`the server answers the token with ${status}`);
  }
}
