import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Authority } from "./certificates.js";

/** A server on this machine behind a private authority: an API, and its authorization server for clients without a user. */
export class PrivateApi {
  readonly authority = new Authority("Private API");
  /** Method and path of what it answered. */
  readonly requests: string[] = [];
  readonly #server = createServer(
    this.authority.issueServer({ dns: ["localhost", "api.localhost"] }),
    (request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      request.resume().once("end", () => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(this.#answer(request.url ?? "")));
      });
    },
  );

  static async start(): Promise<PrivateApi> {
    const api = new PrivateApi();
    await once(api.#server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `https://localhost:${this.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(path: string): object {
    if (path.startsWith("/.well-known/"))
      return {
        issuer: this.origin,
        authorization_endpoint: `${this.origin}/authorize`,
        token_endpoint: `${this.origin}/token`,
        jwks_uri: `${this.origin}/jwks`,
        response_types_supported: ["code"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["ES256"],
      };
    if (path === "/token") return { access_token: "minted", token_type: "Bearer", expires_in: 3600 };
    return { login: "ada", sub: "1" };
  }
}
