import type { CDPSession, Page } from "playwright-core";
import { expect } from "vitest";
import type { browser } from "../../browser_fixture.js";

const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** A phone with a passkey provider: Chromium's virtual authenticator. */
export class Phone {
  private constructor(
    readonly page: Page,
    private readonly session: CDPSession,
    private readonly authenticatorId: string,
  ) {}

  static async made(chromium: ReturnType<typeof browser>): Promise<Phone> {
    const context = await chromium.newContext(phone);
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send("WebAuthn.enable");
    const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        ...{ protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true },
        ...{ isUserVerified: true, automaticPresenceSimulation: true },
      },
    });
    return new Phone(page, session, authenticatorId);
  }

  async verifiesUser(isUserVerified: boolean): Promise<void> {
    const { authenticatorId } = this;
    await this.session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  }

  /** Registered by this link of `addApprover`. */
  async register({ url }: { readonly url: string }): Promise<string> {
    await this.page.goto(url);
    await this.page.getByRole("button", { name: "Register a passkey" }).click();
    await expect.poll(() => this.page.locator("h1").textContent()).toBe("Registered");
    return url;
  }

  /** What the form of a request would send, signed where the page is now. */
  async signed(url: string, options: { readonly at?: string; readonly uv?: string } = {}) {
    const { at, uv = "required" } = options;
    await this.page.goto(url);
    const form = this.page.locator("form[data-challenge]");
    const challenge = (await form.getAttribute("data-challenge")) ?? "";
    const nonce = await form.locator("[name=nonce]").inputValue();
    if (at !== undefined) await this.page.goto(at);
    const credential = await this.page.evaluate(sign, { challenge, uv });
    return { answer: "yes", nonce, credential };
  }
}

/** As the script of the page, with another wish for user verification. */
async function sign({ challenge, uv }: { readonly challenge: string; readonly uv: string }): Promise<string> {
  const bytes = (text: string) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const { navigator } = globalThis as unknown as {
    navigator: { credentials: { get(o: object): Promise<never> } };
  };
  const publicKey = { challenge: bytes(challenge), rpId: "localhost", userVerification: uv };
  return JSON.stringify(await navigator.credentials.get({ publicKey }));
}
