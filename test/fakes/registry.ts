import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";
const manifest = {
  schemaVersion: 2,
  mediaType: manifestType,
  config: {
    mediaType: "application/vnd.docker.container.image.v1+json",
    size: 2,
    // Of `{}`.
    digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  },
  layers: [],
};

/** A registry of images (OCI distribution) that has every tag, for one login. */
export class Registry {
  /** The user name and password of each request; undefined for none. */
  readonly logins: (string | undefined)[] = [];

  private constructor(
    readonly host: string,
    private readonly end: () => Promise<void>,
  ) {}

  /** @param login `user:password` */
  static async start(login: string): Promise<Registry> {
    const http = createServer(({ url = "", headers }, response) => {
      const [, encoded] = /^Basic (.*)$/.exec(headers.authorization ?? "") ?? [];
      const given = encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8");
      registry.logins.push(given);
      if (given !== login) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="registry"' }).end();
      } else if (url.includes("/manifests/")) {
        response.writeHead(200, { "content-type": manifestType }).end(JSON.stringify(manifest));
      } else {
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
      }
    });
    await once(http.listen(0, "127.0.0.1"), "listening");
    const registry = new Registry(`127.0.0.1:${(http.address() as AddressInfo).port}`, async () => {
      http.closeAllConnections();
      await once(http.close(), "close");
    });
    return registry;
  }

  stop(): Promise<void> {
    return this.end();
  }
}
