import { request } from "node:http";

const maxSteps = 10;

/** A person with a browser, who says yes. A public URL in https ends at a proxy, which this plays too. */
export class Person {
  #cookies = new Map();

  constructor(publicUrl, browserPort) {
    this.publicUrl = new URL(publicUrl);
    this.browserPort = browserPort;
  }

  /** Follows the link to its end. @returns the text of the last page */
  async open(link) {
    let url = new URL(link);
    for (let step = 0; step < maxSteps; step++) {
      const { status, location, body } = await this.#get(url);
      const next = status >= 300 && status < 400 ? location : continuation(body);
      if (!next) return `${status}: ${textOf(body)}`;
      url = new URL(next, url);
    }
    throw new Error("too many redirects");
  }

  #get(url) {
    const isOurs = url.origin === this.publicUrl.origin;
    const to = isOurs
      ? { host: "127.0.0.1", port: this.browserPort }
      : { host: url.hostname, port: url.port };
    const cookie = isOurs ? [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ") : "";
    return new Promise((resolve, reject) => {
      const headers = { host: url.host, accept: "text/html", ...(cookie && { cookie }) };
      const path = `${url.pathname}${url.search}`;
      const outgoing = request({ ...to, path, headers }, (response) => {
        for (const line of response.headers["set-cookie"] ?? []) this.#keep(line);
        let body = "";
        response.setEncoding("utf8").on("data", (text) => {
          body += text;
        });
        const { statusCode: status, headers: answered } = response;
        response.on("end", () => resolve({ status, location: answered.location, body }));
      });
      outgoing.on("error", reject).end();
    });
  }

  #keep(line) {
    const [pair = ""] = line.split(";");
    const at = pair.indexOf("=");
    this.#cookies.set(pair.slice(0, at).trim(), pair.slice(at + 1));
  }
}

/** Where the button of the page leads that asks whether an application may have more. */
function continuation(html) {
  return /id="to-provider" href="([^"]+)"/.exec(html)?.[1]?.replaceAll("&amp;", "&");
}

function textOf(html) {
  return html
    .replace(/<style[\s\S]*?<\/style>/g, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .slice(0, 300);
}
