import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { AuthType, TokenEndpointAuthMethod } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { ScriptedWorld } from "../../../daemon/scripted_world.js";
import { perSuite } from "../../../lifetimes.js";
import { json } from "../../../oauth/scripted_server.js";

const secret = "n3w-s3cr3t-of-it";

describe("the client of a provider", () => {
  const world = perSuite(() => ScriptedWorld.make());

  const providerOf = async (id: string) => {
    const { provider } = await world.clients.providers.getProvider({ key: { case: "id", value: id } });
    if (!provider) throw new Error("no provider");
    return provider;
  };
  const etagIn = (body: string): string => /name="etag" value="([^"]+)"/.exec(body)?.[1] ?? "";

  /** Fills the form in and sends it. */
  async function change(id: string, fields: Readonly<Record<string, string>>) {
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const path = `/providers/${id}/client`;
    const page = await visitor.visit(path);
    const form = { form_token: await visitor.formToken(), etag: etagIn(page.body), ...fields };
    const answer = await visitor.visit(path, { form });
    return { page, answer, notice: answer.headers["location"] ?? "" };
  }

  it("gets another secret, with which the next request is made, and no page ever shows one", async () => {
    const id = await world.register({ name: "rotated" });
    const connectionId = await world.connect(id);
    const { page, answer, notice } = await change(id, { client_id: "the-client", client_secret: secret });
    expect(page.body).toContain('value="the-client"');
    expect(page.body).toMatch(/<input type="password"(?![^>]* value=)[^>]* name="client_secret"/);
    expect([answer.status, notice]).toEqual([303, `/providers/${id}?notice=client_changed`]);
    await world.clients.tokens.refreshToken({ connectionId });
    expect(world.tokenRequests.at(-1)?.form.get("client_secret")).toBe(secret);
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const bodies = await Promise.all(
      [`/providers/${id}`, `/providers/${id}/client`, "/providers", "/activity"].map((path) =>
        visitor.visit(path),
      ),
    );
    const shown =
      [page, answer, ...bodies].map(({ body }) => body).join("\n") + world.place.logLines.join("");
    expect([secret, "the-client-secret"].filter((each) => shown.includes(each))).toEqual([]);
    const { events } = await world.clients.audit.listAuditEvents({ eventType: "provider.updated" });
    expect(events).toMatchObject([{ principal: "owner", providerId: id }]);
  });

  it("is another client only with its own secret, and says how many connections that parts", async () => {
    const id = await world.register({ name: "moved" });
    const connectionId = await world.connect(id);
    const refused = await change(id, { client_id: "another", client_secret: "" });
    expect(refused.answer.status).toBe(400);
    expect(refused.answer.body).toMatch(
      /id="field-client_secret-error">[\s\S]*Is needed with another client id/,
    );
    expect(refused.answer.body).toContain('value="another"');
    expect((await providerOf(id)).clientId).toBe("the-client");
    const { answer } = await change(id, { client_id: "another", client_secret: secret });
    expect([answer.status, answer.body.includes(secret)]).toEqual([200, false]);
    expect(answer.body).toContain("1 connection of the former client waits for consent");
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ATTENTION);
    await change(id, { client_id: "the-client", client_secret: "the-client-secret" });
    const { connection: back } = await world.clients.connections.getConnection({ connectionId });
    expect(back?.status).toBe(ConnectionStatus.ACTIVE);
  });

  it("is what the provider's page offers first where consents fail, and the overview says that they do", async () => {
    const id = await world.register({ name: "refusing" });
    world.answerToken = () => json({ error: "invalid_client" }, 401);
    const { authUrl } = await world.request(id);
    await world.consent(authUrl);
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const [page, overview] = [await visitor.visit(`/providers/${id}`), await visitor.visit("/overview")];
    const health = /id="health"[\s\S]*?<\/section>/.exec(page.body)?.[0] ?? "";
    expect(health).toContain("Consents fail");
    expect(health).toContain(`<a class="button" href="/providers/${id}/client">Change the client</a>`);
    expect(health).not.toContain("tries again by itself");
    expect(overview.body).toMatch(/refusing<\/bdi><\/a>: Consents fail/);
    expect(overview.body).toMatch(
      /The consent of <a href="\/connections\?state=failed">\d+ connections?<\/a> failed/,
    );
  });

  it("stays as it is when nothing differs, or somebody else has changed the profile", async () => {
    const id = await world.register({ name: "kept" });
    const before = await providerOf(id);
    const { notice } = await change(id, { client_id: " the-client ", client_secret: "" });
    expect(notice).toBe(`/providers/${id}?notice=client_kept`);
    const late = { etag: before.etag, client_id: "the-client", client_secret: secret };
    await world.clients.providers.updateProvider({
      provider: { id, description: "meanwhile" },
      updateMask: { paths: ["description"] },
    });
    const { answer } = await change(id, late);
    expect([answer.status, answer.body.includes("has changed since it was read")]).toEqual([409, true]);
    expect(answer.body).not.toContain(secret);
    // The form that is shown then is of the profile as it is now.
    expect(etagIn(answer.body)).toBe((await providerOf(id)).etag);
  });

  it("is public no more when it gets a secret", async () => {
    const { provider } = await world.clients.providers.createProvider({
      provider: {
        ...{ name: "public", authType: AuthType.OAUTH2, clientId: "the-client" },
        ...{ authUrl: `${world.provider.origin}/authorize`, tokenUrl: `${world.provider.origin}/token` },
        ...{ tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE },
      },
    });
    const id = provider?.id ?? "";
    await change(id, { client_id: "the-client", client_secret: secret });
    expect(await providerOf(id)).toMatchObject({
      clientSecretSet: true,
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
    });
  });

  it("proves itself by another private key, and by nothing that is none", async () => {
    const pem = (): string =>
      generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
        format: "pem",
        type: "pkcs8",
      }) as string;
    const { provider } = await world.clients.providers.createProvider({
      provider: {
        ...{ name: "signed", authType: AuthType.OAUTH2, clientId: "c", clientSecret: pem() },
        ...{ authUrl: `${world.provider.origin}/authorize`, tokenUrl: `${world.provider.origin}/token` },
        ...{ tokenEndpointAuthMethod: TokenEndpointAuthMethod.PRIVATE_KEY_JWT },
      },
    });
    const id = provider?.id ?? "";
    const { page, answer } = await change(id, { client_id: "c", client_secret: "no key" });
    expect(page.body).toMatch(/<textarea[^>]* name="client_secret"[^>]*><\/textarea>/);
    expect([answer.status, answer.body.includes("no key")]).toEqual([400, false]);
    expect((await change(id, { client_id: "c", client_secret: pem() })).answer.status).toBe(303);
  });

  it.each([
    ["no client id", { client_id: "", client_secret: secret }, "client_id"],
    ["a long client id", { client_id: "c".repeat(1025), client_secret: secret }, "client_id"],
    ["a client id with a line in it", { client_id: "c\nd", client_secret: secret }, "client_id"],
    ["a long secret", { client_id: "c", client_secret: "s".repeat(20_000) }, "client_secret"],
    [
      "a secret with control characters",
      { client_id: "c", client_secret: `${secret}\u0000` },
      "client_secret",
    ],
  ])("is not changed by %s, which is said beside its field", async (name, fields, field) => {
    const id = await world.register({ name: `hostile-${name.replaceAll(/\W/g, "-")}` });
    const before = await providerOf(id);
    const { answer } = await change(id, fields);
    expect([answer.status, answer.body.includes(`id="field-${field}-error"`)]).toEqual([400, true]);
    expect(answer.body).not.toContain(fields.client_secret);
    expect(await providerOf(id)).toEqual(before);
  });

  it("shows a hostile client id as text", async () => {
    const id = await world.register({ name: "hostile" });
    const hostile = `"><script>document.title="owned"</script>`;
    const { answer } = await change(id, { client_id: hostile, client_secret: secret });
    const { body } = await (await ConsoleVisitor.signedIn(world.clients)).visit(`/providers/${id}/client`);
    for (const text of [answer.body, body]) expect(text).not.toContain("<script>document");
    expect((await providerOf(id)).clientId).toBe(hostile);
  });

  it("is none where people enter keys", async () => {
    const { provider } = await world.clients.providers.createProvider({
      provider: { name: "static", authType: AuthType.API_KEY },
    });
    const visitor = await ConsoleVisitor.signedIn(world.clients);
    const page = await visitor.visit(`/providers/${provider?.id}`);
    expect(page.body).not.toContain("/client");
    const form = { form_token: await visitor.formToken(), client_id: "c", client_secret: secret };
    for (const request of [{}, { form }]) {
      const answer = await visitor.visit(`/providers/${provider?.id}/client`, request);
      expect([answer.status, answer.body.includes("it has no client")]).toEqual([400, true]);
    }
  });
});
