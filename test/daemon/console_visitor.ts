import { request as requestPlain } from "node:http";
import type { Clients } from "./harness.js";

export interface ConsoleAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface ConsoleRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Fields of a form. */
  readonly form?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A browser without scripts that keeps the one cookie, and sends what a test wants: `fetch` would not let it. */
export class ConsoleVisitor {
  cookie = "";

  constructor(readonly origin: string) {}

  /** Signed in by a link of these clients' principal. */
  static async signedIn({ console }: Pick<Clients, "console">): Promise<ConsoleVisitor> {
    const { url } = await console.createConsoleLink({});
    const visitor = new ConsoleVisitor(new URL(url).origin);
    const { status } = await visitor.visit(url);
    if (status !== 303) throw new Error(`the link was answered by ${status}`);
    return visitor;
  }

  /** @param target a path or an URL */
  async visit(target: string, { method, headers, form, body }: ConsoleRequest = {}): Promise<ConsoleAnswer> {
    const url = new URL(target, this.origin);
    const sent = requestPlain(url, {
      method: method ?? (form ? "POST" : "GET"),
      agent: false,
      headers: {
        ...(this.cookie !== "" && { cookie: this.cookie }),
        ...(form && { "content-type": "application/x-www-form-urlencoded", origin: this.origin }),
        ...headers,
      },
    });
    const answer = await new Promise<ConsoleAnswer>((resolve, reject) => {
      sent.once("error", reject);
      sent.once("response", (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.once("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      });
      sent.end(form ? new URLSearchParams(form).toString() : body);
    });
    const [cookie] = [answer.headers["set-cookie"] ?? []].flat();
    if (cookie !== undefined) this.cookie = /Max-Age=0/.test(cookie) ? "" : (cookie.split(";")[0] ?? "");
    return answer;
  }

  /** The form token of a page. */
  async formToken(path = "/connections"): Promise<string> {
    const { body } = await this.visit(path);
    const token = /name="form_token" value="([^"]+)"/.exec(body)?.[1];
    if (token === undefined) throw new Error("the page has no form");
    return token;
  }
}
