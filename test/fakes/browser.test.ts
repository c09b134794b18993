import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { Browser } from "./browser.js";

describe("the browser without a browser", () => {
  async function site(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
      at: (host: string, path: string) => `http://${host}:${port}${path}`,
      close: () => void server.close(),
    };
  }

  test("keeps cookies by host and path, whatever the port, and obeys SameSite and Max-Age", async () => {
    const show = (request: IncomingMessage, response: ServerResponse) =>
      response.end(JSON.stringify([request.headers.cookie, request.headers["sec-fetch-site"]]));
    const other = await site((request, response) => {
      const target = /^\/away\?(.*)/.exec(request.url ?? "")?.[1];
      if (target === undefined) show(request, response);
      else response.writeHead(302, { location: decodeURIComponent(target) }).end();
    });
    const home = await site((request, response) => {
      if (request.url !== "/auth/set") {
        show(request, response);
        return;
      }
      response.setHeader("set-cookie", [
        "lax=1; Path=/",
        "strict=2; Path=/auth; SameSite=Strict; HttpOnly",
        "gone=3; Path=/; Max-Age=0",
        "here=4",
      ]);
      response.end();
    });
    const browser = new Browser();
    const see = async (url: string) => JSON.parse((await browser.get(url)).body);
    await browser.get(home.at("127.0.0.1", "/auth/set"));
    expect(await see(home.at("127.0.0.1", "/auth/x"))).toEqual(["strict=2; here=4; lax=1", "none"]);
    expect(await see(home.at("127.0.0.1", "/authority"))).toEqual(["lax=1", "none"]);
    expect(await see(other.at("127.0.0.1", "/"))).toEqual(["lax=1", "none"]);
    expect(await see(home.at("localhost", "/auth/x"))).toEqual([null, "none"]);
    const back = encodeURIComponent(home.at("127.0.0.1", "/auth"));
    expect(await see(other.at("localhost", `/away?${back}`))).toEqual(["here=4; lax=1", "none"]);
    home.close();
    other.close();
  });

  test("sends the form with what it holds, and its origin", async () => {
    const home = await site((request, response) => {
      if (request.method !== "POST") {
        const hidden = `<input type="hidden" name="csrf" value="a&amp;&#34;b">`;
        response.end(
          `<form action="x"></form><form action="/in" method="POST">${hidden}<input name=key></form>`,
        );
        return;
      }
      response.write(`${request.url} ${request.headers.origin} ${request.headers["sec-fetch-site"]} `);
      request.pipe(response);
    });
    const browser = new Browser();
    const page = await browser.get(home.at("127.0.0.1", "/"));
    const { body } = await browser.submit(page, { key: "k v" });
    expect(body).toBe(`/in ${home.at("127.0.0.1", "")} same-origin csrf=a%26%22b&key=k+v`);
    home.close();
  });
});
