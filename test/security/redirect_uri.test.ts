import { describe, expect, onTestFinished, test } from "vitest";
import { ScriptedWorld } from "../daemon/scripted_world.js";
import { Browser } from "../fakes/browser.js";
import { ScriptedProvider, scriptedClient } from "../fakes/scripted_provider.js";
import { perTest } from "../lifetimes.js";

describe("the browser that calls us: redirect URIs", () => {
  const world = perTest(() => ScriptedWorld.make());

  const shared = () => world.place.config.redirectUri;
  const manual = (name: string, origin = world.provider.origin) => ({
    name,
    clientId: scriptedClient.clientId,
    clientSecret: scriptedClient.clientSecret,
    authUrl: `${origin}/authorize`,
    tokenUrl: `${origin}/token`,
  });
  const create = async (name: string, more: { issuer?: string; enableDiscovery?: boolean } = {}) => {
    const { authUrl, tokenUrl, ...rest } = manual(name);
    const provider = more.enableDiscovery ? { ...rest, ...more } : { ...rest, authUrl, tokenUrl, ...more };
    return await world.clients.providers.createProvider({ provider });
  };
  const read = (name: string) => world.clients.providers.getProvider({ key: { case: "name", value: name } });
  const discovery = (more: object) =>
    world.documents.set("/.well-known/openid-configuration", () => ({
      issuer: world.provider.origin,
      authorization_endpoint: `${world.provider.origin}/authorize`,
      token_endpoint: `${world.provider.origin}/token`,
      jwks_uri: `${world.provider.origin}/jwks`,
      ...more,
    }));
  const sentRedirectUri = () => world.authorizations.at(-1)?.get("redirect_uri");

  test("a profile without a verifiable issuer gets a redirect URI of its own, told before the first consent", async () => {
    const created = await create("acme");
    expect(created.redirectUri).toBe(`${shared()}/acme`);
    expect(created.provider?.redirectUri).toBe(created.redirectUri);
    expect((await read("acme")).redirectUri).toBe(created.redirectUri);
    const { providers } = await world.clients.providers.listProviders({});
    expect(providers.map(({ redirectUri }) => redirectUri)).toEqual([`${shared()}/acme`]);
    await world.connect(created.provider?.id ?? "");
    expect(sentRedirectUri()).toBe(created.redirectUri);
    expect(world.tokenRequests.at(-1)?.form.get("redirect_uri")).toBe(created.redirectUri);
  });

  test.each<[name: string, document: object | undefined]>([
    ["announces iss", { authorization_response_iss_parameter_supported: true }],
    ["announces nothing", {}],
    ["is down", undefined],
  ])("a provider by discovery that %s gets its own as well", async (_name, document) => {
    if (document) discovery(document);
    const { redirectUri } = await create("op", { issuer: world.provider.origin, enableDiscovery: true });
    expect(redirectUri).toBe(`${shared()}/op`);
  });

  test("what was printed while the provider was down is what the first consent sends", async () => {
    const { redirectUri, provider } = await create("op", {
      issuer: world.provider.origin,
      enableDiscovery: true,
    });
    discovery({});
    await world.connect(provider?.id ?? "");
    expect(sentRedirectUri()).toBe(redirectUri);
    expect((await read("op")).redirectUri).toBe(redirectUri);
  });

  test("no answer of a provider that announces iss passes without it", async () => {
    discovery({ authorization_response_iss_parameter_supported: true });
    const { provider } = await create("op", { issuer: world.provider.origin, enableDiscovery: true });
    const { authUrl, connection_id } = await world.request(provider?.id ?? "");
    const page = await world.consent(authUrl);
    expect(page.status).toBe(400);
    expect(world.tokenRequests).toEqual([]);
    expect(await world.status(connection_id)).toBe("failed");
  });

  test.each(["%0D%0AX-Header:+1", "%00", "%FF", "%C3%A9"])(
    "a code that is none (%s) is refused before anything is sent",
    async (code) => {
      const { provider } = await create("acme");
      const { authUrl, connection_id } = await world.request(provider?.id ?? "");
      const browser = new Browser();
      const { url } = await browser.get(authUrl, (each) => each.startsWith(shared()));
      expect((await browser.get(url.replace(/code=[^&]+/, `code=${code}`))).status).toBe(400);
      expect(world.tokenRequests).toEqual([]);
      expect(await world.status(connection_id)).toBe("failed");
    },
  );

  test.each<[name: string, document: object, iss: string]>([
    ["names another issuer", {}, "&iss=https%3A%2F%2Fevil.example"],
    ["names none and must", { authorization_response_iss_parameter_supported: true }, ""],
  ])("an error that %s is not believed, and the flow goes on", async (_name, document, iss) => {
    discovery(document);
    const { provider } = await create("op", { issuer: world.provider.origin, enableDiscovery: true });
    const { authUrl, connection_id } = await world.request(provider?.id ?? "");
    const browser = new Browser();
    const { url } = await browser.get(authUrl, (each) => each.startsWith(shared()));
    const forged = `${url.replace(/code=[^&]+/, "error=access_denied")}${iss}`;
    for (let times = 0; times < 2; times++) {
      const page = await browser.get(forged);
      expect(page.status).toBe(400);
      expect(page.body).toContain("Go on in the provider");
    }
    expect(await world.status(connection_id)).toBe("pending");
    const answer = `${url}&iss=${encodeURIComponent(world.provider.origin)}`;
    const page = await browser.get(answer, (each) => each.startsWith("http://127.0.0.1:3999/"));
    expect(page.url).toContain("status=success");
    expect(await world.status(connection_id)).toBe("active");
  });

  test("an error of the provider itself ends the flow", async () => {
    discovery({});
    const { provider } = await create("op", { issuer: world.provider.origin, enableDiscovery: true });
    const { authUrl, connection_id } = await world.request(provider?.id ?? "");
    const browser = new Browser();
    const { url } = await browser.get(authUrl, (each) => each.startsWith(shared()));
    const said = `${url.replace(/code=[^&]+/, "error=access_denied")}&iss=${encodeURIComponent(world.provider.origin)}`;
    const page = await browser.get(said, (each) => each.startsWith("http://127.0.0.1:3999/"));
    expect(page.url).toContain("error=access_denied");
    expect(await world.status(connection_id)).toBe("failed");
  });

  test("an answer that comes to the redirect URI of another provider is refused, and its code goes nowhere", async () => {
    await create("mine");
    await create("other");
    const { provider } = await read("mine");
    const { authUrl, connection_id } = await world.request(provider?.id ?? "");
    const browser = new Browser();
    const { url } = await browser.get(authUrl, (each) => each.startsWith(shared()));
    const page = await browser.get(url.replace("/auth/callback/mine", "/auth/callback/other"));
    expect(page.status).toBe(400);
    expect(world.tokenRequests).toEqual([]);
    expect(await world.status(connection_id)).toBe("failed");
    expect((await browser.get(url)).status).toBe(404);
  });

  test("a provider that sends the person on to another one does not get that one's code (mix-up)", async () => {
    const honest = await ScriptedProvider.start();
    try {
      const { redirectUri: honestUri } = await world.clients.providers.createProvider({
        provider: manual("honest", honest.origin),
      });
      const { provider: attacker } = await create("attacker");
      // The attacker's authorization endpoint: it asks the honest provider in our name, with its own state.
      world.provider.script = (response, request) => {
        const asked = new URL(request.path, world.provider.origin).searchParams;
        const forged = new URL(honest.authUrl);
        for (const [name, value] of asked) forged.searchParams.set(name, value);
        forged.searchParams.set("client_id", scriptedClient.clientId);
        forged.searchParams.set("redirect_uri", honestUri);
        response.writeHead(302, { location: forged.href }).end();
      };
      const { authUrl, connection_id } = await world.request(attacker?.id ?? "");
      const page = await world.consent(authUrl);
      expect(page.status).toBe(400);
      expect(honest.authorizations).toHaveLength(1);
      expect(honest.tokenRequests).toEqual([]);
      expect(world.tokenRequests).toEqual([]);
      expect(await world.status(connection_id)).toBe("failed");
    } finally {
      await honest.close();
    }
  });

  test("a redirect URI outlives a new name, and is nobody else's meanwhile", async () => {
    const { provider } = await create("acme");
    const id = provider?.id ?? "";
    const renamed = await world.clients.providers.updateProvider({
      provider: { id, name: "acme-old" },
      updateMask: { paths: ["name"] },
    });
    expect(renamed.redirectUri).toBe(`${shared()}/acme`);
    await world.restart();
    expect((await create("acme")).redirectUri).toBe(`${shared()}/acme-2`);
    await world.clients.providers.deleteProvider({ id });
    expect((await create("acme-old")).redirectUri).toBe(`${shared()}/acme-old`);
  });

  test("a state is bound to its profile, not to the profile's name", async () => {
    const { provider } = await create("acme");
    const { authUrl } = await world.request(provider?.id ?? "");
    const browser = new Browser();
    const { url } = await browser.get(authUrl, (each) => each.startsWith(shared()));
    await world.clients.providers.deleteProvider({ id: provider?.id ?? "" });
    expect((await create("acme")).redirectUri).toBe(`${shared()}/acme`);
    expect((await browser.get(url)).status).toBe(410);
    expect(world.tokenRequests).toEqual([]);
  });

  test("no edit moves it: neither another issuer, nor discovery given up", async () => {
    const { provider, redirectUri } = await create("op", {
      issuer: "https://other.example",
      enableDiscovery: true,
    });
    const id = provider?.id ?? "";
    const moved = await world.clients.providers.updateProvider({
      provider: { id, issuer: world.provider.origin },
      updateMask: { paths: ["issuer"] },
    });
    expect(moved.redirectUri).toBe(redirectUri);
    const { authUrl, tokenUrl } = manual("op");
    const edited = await world.clients.providers.updateProvider({
      provider: { id, authUrl, tokenUrl, enableDiscovery: false },
      updateMask: { paths: ["auth_url", "token_url", "enable_discovery"] },
    });
    expect(edited.redirectUri).toBe(redirectUri);
  });

  test("two profiles made at once under names that lead to one path get two", async () => {
    const { provider } = await create("acme");
    await world.clients.providers.updateProvider({
      provider: { id: provider?.id ?? "", name: "acme-old" },
      updateMask: { paths: ["name"] },
    });
    const made = await Promise.all([create("acme"), create("acme-2")]);
    expect(new Set(made.map(({ redirectUri }) => redirectUri)).size).toBe(2);
  });

  test("the catalogue says the redirect URI that creating the profile answers", async () => {
    const said = async (name: string) => {
      const { templates } = await world.clients.providers.listProviderTemplates({ namePrefix: name });
      return templates.find((template) => template.name === name)?.redirectUri;
    };
    expect(await said("github")).toBe(`${shared()}/github`);
    // By discovery, and its document announces no `iss`.
    expect(await said("google")).toBe(`${shared()}/google`);
    expect(await said("openai")).toBe("");
    const { provider } = await create("github");
    await world.clients.providers.updateProvider({
      provider: { id: provider?.id ?? "", name: "github-old" },
      updateMask: { paths: ["name"] },
    });
    expect(await said("github")).toBe(`${shared()}/github-2`);
    expect((await create("github")).redirectUri).toBe(`${shared()}/github-2`);
    expect(await said("github")).toBe(`${shared()}/github-2`);
  });
});

describe("with NEXUS_SHARED_REDIRECT_URI", () => {
  test("new profiles have the redirect URI of the existing Nexus", async () => {
    const world = await ScriptedWorld.make({ NEXUS_SHARED_REDIRECT_URI: "true" });
    onTestFinished(() => world.close());
    const shared = world.place.config.redirectUri;
    const create = (name: string) =>
      world.clients.providers.createProvider({
        provider: {
          name,
          clientId: scriptedClient.clientId,
          clientSecret: scriptedClient.clientSecret,
          authUrl: `${world.provider.origin}/authorize`,
          tokenUrl: `${world.provider.origin}/token`,
        },
      });
    const [one, two] = [await create("one"), await create("two")];
    expect([one.redirectUri, two.redirectUri]).toEqual([shared, shared]);
    await world.connect(two.provider?.id ?? "");
    expect(world.authorizations.at(-1)?.get("redirect_uri")).toBe(shared);
    expect(world.tokenRequests.at(-1)?.form.get("redirect_uri")).toBe(shared);
  });
});
