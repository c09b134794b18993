/** Why a connection is not well, each word with one sentence for agents and operators. */
export const problemMessages = {
  reauth_required: "The provider no longer accepts the refresh token: the user must consent again.",
  consent_revoked: "The provider says that consent was withdrawn: the user must consent again.",
  identity_required:
    "The identity provider of the profile vouches for this person no longer, or not yet: the person must sign in there.",
  misconfigured:
    "The provider refuses this client, or has an address that the daemon must not call. An operator must fix the provider profile or the settings; the log shows which. The daemon also retries by itself.",
  provider_deleted: "The provider profile was deleted: the token cannot be refreshed any more.",
  no_refresh_token:
    "The token expired and the provider issued no refresh token: the user must consent again.",
  outcome_unknown:
    "The refresh token may have been used already, because a response was lost or the store was restored from a backup. One more attempt did not help: the user must consent again.",
  refresh_failing: "The last refresh failed; the daemon tries again by itself.",
  refresh_refused: "The provider refuses the refresh and does not say why: the user must consent again.",
  account_changed:
    "The provider answered a refresh with a token of another account, which is not served: the user must consent again.",
  restored:
    "The store was restored from a backup: the refresh token may have been used since. The next refresh will show it.",
  access_denied: "The user or the provider denied consent.",
  authorization_failed: "The provider ended the authorization with an error.",
  invalid_authorization_response: "The answer that came back from the provider breaks the protocol.",
  issuer_mismatch: "The answer that came back from the provider does not name the issuer of the profile.",
  client_rejected: "The provider refused the client id, the client secret or the way in which it was sent.",
  clock_skew: "The clocks of this machine and of the provider differ.",
  provider_unreachable: "The provider could not be reached.",
  unsupported_demand: "The provider demands what the profile does not do.",
  state_verification_failed: "The browser that came back was not the one that started the consent.",
  token_exchange_failed: "The provider did not exchange the authorization code for a token.",
  id_token_verification_failed: "The id_token of the provider could not be verified.",
  authentication_insufficient:
    "The user consented, but did not sign in at the provider as the request or the API demands: start again and sign in anew, in the way that the provider offers for it.",
  consent_expired: "Nobody consented within ten minutes.",
  confirmation_expired: "The consent was given, and no application confirmed it within ten minutes.",
  confirmation_failed: "The consent was given, and five completion codes were wrong.",
  credential_refused:
    "The API refused the credential when it was checked: the user must consent again, or replace the key.",
  data_loss: "The stored credential cannot be opened: the user must consent again.",
} as const satisfies Readonly<Record<string, string>>;

export type ProblemReason = keyof typeof problemMessages;
