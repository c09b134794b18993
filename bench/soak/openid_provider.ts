/**
 * A certified OpenID provider (npm `oidc-provider`) in a process of its own, with a page to sign in and one to consent. It tells its parent
 * where it is and the client that it knows, and takes redirect URIs of that client as messages.
 */
import { startOpenIdProvider } from "../../test/fakes/openid_provider.js";

const provider = await startOpenIdProvider({ redirectUris: ["http://127.0.0.1:1/unused"] });
process.on("message", ({ redirectUri }: { redirectUri: string }) => {
  provider.addRedirectUri(redirectUri);
  process.send?.("added");
});
process.once("disconnect", () => process.exit(0));
process.send?.({ issuer: provider.issuer, ...provider.clients.post });
