/** What a page says after an action, by the word in its address: nobody can put words of their own there. */
export const notices: ReadonlyMap<string, string> = new Map([
  ["refreshed", "The token was refreshed."],
  ["revoked", "The connection was revoked, and its credential erased."],
  ["connected", "Connected: no person is needed for this provider, and a token was minted."],
  ["provider_added", "The provider was added. Register the redirect URI at its console, then connect."],
  ["client_changed", "The client was changed: the next request to the provider is made with it."],
  ["client_kept", "Nothing was changed: what was entered is stored already."],
  ["provider_deleted", "The provider was deleted."],
  ["key_revoked", "The API key was revoked."],
]);
