import { expect, it } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { FakeWebProxy } from "../fakes/web_proxy.js";
import { perTest } from "../lifetimes.js";
import { TestDaemon } from "./harness.js";

const proxy = perTest(() => FakeWebProxy.start({ credentials: "ada:s3cret-of-proxy" }));

it("a daemon asks providers through the proxy of its environment, and names it where that fails", async () => {
  proxy.refusal = 503;
  const daemon = await TestDaemon.start({ HTTPS_PROXY: proxy.url, NO_PROXY: ".direct.test" });
  const issuer = "https://idp.corp.test";
  const client = { clientId: "c", clientSecret: "s", scopes: ["openid"] };
  const profile = { ...client, name: "corp", authType: AuthType.OAUTH2, issuer, enableDiscovery: true };
  const { provider } = await daemon.clients.providers.createProvider({ provider: profile });
  const asked = daemon.clients.connections.requestConnection({
    provider: { case: "providerId", value: provider?.id ?? "" },
    userId: "ada",
    returnUrl: "",
  });
  await expect(asked).rejects.toThrow(
    /proxy of HTTPS_PROXY does not let requests through to idp\.corp\.test/,
  );
  await expect(asked).rejects.not.toThrow(/s3cret/);
  expect(new Set(proxy.asked)).toEqual(new Set(["CONNECT idp.corp.test:443"]));
  await daemon.close();
});
