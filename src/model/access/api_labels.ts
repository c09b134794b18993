/** What is known of a request by its API: what it reads, and what it does. */
export type RequestLabel = "private" | "untrusted" | "shares" | "spends" | "deletes";

/** With what each says of a request. */
export const requestLabels: Readonly<Record<RequestLabel, string>> = {
  private: "reads what not everybody may read",
  untrusted: "reads what strangers may have written",
  shares: "writes where others read, or changes who reads",
  spends: "pays, orders, or is billed by use",
  deletes: "deletes",
};

/** How an API labels its requests. */
export interface ApiLabels {
  /** As `ApiReads.hosts`. */
  readonly hosts: readonly string[];
  /** Of a request that only reads. */
  readonly reads: readonly RequestLabel[];
  /** Of one that does not; that of DELETE deletes. */
  readonly writes: readonly RequestLabel[];
  /**
   * What differs: `METHODS PATHS: labels`, the first line that fits. Methods have commas between them, paths blanks, and their `*` is as in
   * `pathPattern`.
   */
  readonly others?: readonly string[];
}

/** Of what nothing is known: it may do all that its method allows. */
export const unknownApi: Omit<ApiLabels, "hosts"> = {
  reads: ["private", "untrusted"],
  writes: ["private", "untrusted", "shares", "spends", "deletes"],
};

const both = ["private", "untrusted"] as const;

/** A request in a request, GraphQL, or a batch: only the body says what it does. */
const all = "private untrusted shares deletes";

/** APIs whose requests are labeled; of the others, see `unknownApi`. What is not here writes where others read, so that a new method is not missed. */
export const apiLabels: readonly ApiLabels[] = [
  {
    hosts: ["api.github.com", "uploads.github.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /rate_limit /meta /versions /emojis /zen /octocat /licenses /licenses/* /gitignore/templates:",
      "GET /user /user/emails /user/keys /user/gpg_keys /user/ssh_signing_keys: private",
      "GET /repos/*/*/actions/secrets /repos/*/*/actions/variables /orgs/*/actions/secrets: private",
      "PUT,PATCH,DELETE /notifications /notifications/threads/*:",
      `POST /graphql: ${all}`,
      "POST /user/codespaces /repos/*/*/codespaces /repos/*/*/pulls/*/codespaces: spends",
      "POST /repos/*/*/actions/workflows/*/dispatches /repos/*/*/dispatches: shares spends",
      "POST /credentials/revoke /repos/*/*/stacks/*/unstack: deletes",
      "POST /enterprises/*/teams/*/memberships/remove /enterprises/*/teams/*/organizations/remove: deletes",
      "POST /orgs/*/attestations/delete-request /users/*/attestations/delete-request: deletes",
    ],
  },
  {
    hosts: ["gitlab.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /api/v4/version /api/v4/metadata:",
      "GET /api/v4/user /api/v4/user/emails /api/v4/user/keys /api/v4/projects/*/variables: private",
      `POST /api/graphql: ${all}`,
      "POST /api/v4/projects/*/pipeline /api/v4/projects/*/trigger/pipeline: shares spends",
    ],
  },
  { hosts: ["api.bitbucket.org"], reads: both, writes: ["shares"], others: ["GET /2.0/user: private"] },
  {
    hosts: ["slack.com", "*.slack.com", "slack-gov.com", "*.slack-gov.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET,POST /api/api.test:",
      "GET,POST /api/auth.test /api/emoji.list /api/dnd.info /api/users.identity /api/team.info: private",
      "GET,POST /api/conversations.mark /api/dnd.endDnd /api/dnd.endSnooze /api/dnd.setSnooze /api/users.setPresence:",
      ...[
        "admin.apps.clearResolution admin.apps.uninstall admin.auth.policy.removeEntities admin.barriers.delete",
        "admin.conversations.bulkDelete admin.conversations.delete admin.conversations.removeCustomRetention",
        "admin.conversations.restrictAccess.removeGroup admin.emoji.remove admin.roles.removeAssignments",
        "admin.usergroups.removeChannels admin.users.remove admin.users.session.clearSettings",
        "admin.workflows.collaborators.remove agents.conversations.removeView apps.manifest.delete apps.uninstall",
        "auth.revoke bookmarks.remove calls.participants.remove canvases.access.delete canvases.delete chat.delete",
        "chat.deleteScheduledMessage files.comments.delete files.delete files.remote.remove files.revokePublicURL",
        "pins.remove reactions.remove reminders.delete slackLists.access.delete slackLists.items.delete",
        "slackLists.items.deleteMultiple stars.remove users.deletePhoto workflows.featured.remove",
      ].map((methods) => `GET,POST ${methods.replaceAll(/\S+/g, "/api/$&")}: deletes`),
    ],
  },
  {
    hosts: ["discord.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /api/*/users/@me: private",
      "POST /api/*/channels/*/messages/bulk-delete: deletes",
      "POST /api/*/guilds/*/prune: deletes",
    ],
  },
  {
    hosts: ["gmail.googleapis.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /gmail/v1/users/*/profile /gmail/v1/users/*/labels /gmail/v1/users/*/labels/* /gmail/v1/users/*/settings/**: private",
      "POST /gmail/v1/users/*/messages/batchDelete: deletes",
      "POST /gmail/v1/users/*/messages/*/trash /gmail/v1/users/*/threads/*/trash: deletes",
      "POST /gmail/v1/users/*/messages/*/untrash /gmail/v1/users/*/threads/*/untrash:",
      "POST,PUT,PATCH /gmail/v1/users/*/labels /gmail/v1/users/*/labels/*:",
      "POST /gmail/v1/users/*/drafts:",
      "PUT /gmail/v1/users/*/drafts/*:",
      // The label TRASH deletes.
      "POST /gmail/v1/users/*/messages/batchModify /gmail/v1/users/*/messages/*/modify /gmail/v1/users/*/threads/*/modify: deletes",
      `POST /batch /batch/**: ${all}`,
    ],
  },
  {
    hosts: ["www.googleapis.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /drive/v3/about /calendar/v3/colors /calendar/v3/users/me/settings /calendar/v3/users/me/settings/*: private",
      "GET /oauth2/**: private",
      "GET,POST /calendar/v3/freeBusy: private",
      "POST /calendar/v3/calendars/*/clear: deletes",
      // They can delete by a field of the body.
      "PATCH,PUT /drive/v3/files/* /drive/v2/files/* /upload/drive/v3/files/*: shares deletes",
      "PATCH,PUT /calendar/v3/calendars/*/events/*: shares deletes",
      "POST /drive/v2/files/*/trash: deletes",
      `POST /batch /batch/**: ${all}`,
    ],
  },
  {
    hosts: ["sheets.googleapis.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "POST /v4/spreadsheets/*/values/*:clear /v4/spreadsheets/*/values:batchClear /v4/spreadsheets/*/values:batchClearByDataFilter: deletes",
      "POST /v4/spreadsheets/*:batchUpdate: shares deletes",
    ],
  },
  {
    hosts: ["docs.googleapis.com", "slides.googleapis.com", "forms.googleapis.com"],
    reads: both,
    writes: ["shares"],
    others: ["POST /v1/documents/*:batchUpdate /v1/presentations/*:batchUpdate: shares deletes"],
  },
  { hosts: ["people.googleapis.com", "tasks.googleapis.com"], reads: ["private"], writes: ["shares"] },
  { hosts: ["youtube.googleapis.com"], reads: ["untrusted"], writes: ["shares"] },
  {
    hosts: ["graph.microsoft.com"],
    reads: both,
    writes: ["shares"],
    others: [
      ...["v1.0", "beta"].flatMap((version) => [
        `GET /${version}/me /${version}/me/photo /${version}/me/mailFolders /${version}/me/calendars: private`,
        `POST /${version}/me/calendar/getSchedule /${version}/users/*/calendar/getSchedule: private`,
        `POST /${version}/$batch: ${all}`,
        // A draft is sent by another request.
        `POST /${version}/me/messages:`,
        `POST /${version}/me/messages/*/permanentDelete /${version}/me/events/*/permanentDelete: deletes`,
        `POST /${version}/drives/*/items/*/permanentDelete: deletes`,
        `POST /${version}/me/messages/*/move /${version}/me/mailFolders/*/messages/*/move: deletes`,
      ]),
    ],
  },
  {
    hosts: ["api.notion.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /v1/users/me: private",
      // `archived` and `in_trash` of the body.
      "PATCH /v1/pages/* /v1/blocks/* /v1/databases/* /v1/data_sources/*: shares deletes",
    ],
  },
  {
    hosts: ["api.linear.app"],
    reads: both,
    writes: ["shares"],
    others: [`POST /graphql: ${all}`],
  },
  {
    hosts: ["*.atlassian.net", "api.atlassian.com"],
    reads: both,
    writes: ["shares"],
    others: [
      ...["", "/ex/jira/*"].map((base) => `GET ${base}/rest/api/2/myself ${base}/rest/api/3/myself: private`),
      `POST /gateway/api/graphql /graphql: ${all}`,
    ],
  },
  {
    hosts: ["app.asana.com"],
    reads: both,
    writes: ["shares"],
    others: ["GET /api/1.0/users/me: private", `POST /api/1.0/batch: ${all}`],
  },
  {
    hosts: ["api.airtable.com", "content.airtable.com"],
    reads: both,
    writes: ["shares"],
    others: ["GET /v0/meta/whoami: private"],
  },
  {
    hosts: ["api.dropboxapi.com", "content.dropboxapi.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "POST /2/check/user:",
      "POST /2/users/get_current_account /2/users/get_space_usage: private",
      "POST /2/files/delete_v2 /2/files/delete_batch /2/files/permanently_delete /2/file_requests/delete: deletes",
      "POST /2/sharing/revoke_shared_link /2/sharing/unshare_file /2/sharing/unshare_folder: deletes",
    ],
  },
  {
    hosts: ["api.box.com", "upload.box.com"],
    reads: both,
    writes: ["shares"],
    others: ["GET /2.0/users/me: private"],
  },
  {
    hosts: ["api.hubapi.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "POST /crm/v3/objects/*/batch/archive /crm/v4/associations/*/*/batch/archive: deletes",
      "POST /crm/v3/objects/*/gdpr-delete: deletes",
    ],
  },
  {
    hosts: ["*.salesforce.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /services/oauth2/userinfo /services/data: private",
      `POST /services/data/*/composite /services/data/*/composite/** /services/data/*/graphql /services/data/*/jobs/**: ${all}`,
    ],
  },
  {
    hosts: ["*.zendesk.com"],
    reads: both,
    writes: ["shares"],
    others: ["GET /api/v2/users/me /api/v2/users/me.json: private"],
  },
  {
    hosts: ["api.intercom.io", "api.eu.intercom.io", "api.au.intercom.io"],
    reads: both,
    writes: ["shares"],
    others: ["GET /me /admins /admins/*: private"],
  },
  {
    hosts: ["api.stripe.com", "files.stripe.com", "meter-events.stripe.com"],
    reads: both,
    writes: ["shares", "spends"],
    others: [
      "GET /v1/balance /v1/account: private",
      "POST /v1/products /v1/products/* /v1/prices /v1/prices/*: shares",
      "POST /v1/subscriptions/*: spends deletes",
      "POST /v1/payment_intents/*/cancel /v1/invoices/*/void /v1/subscription_schedules/*/cancel: deletes",
    ],
  },
  {
    hosts: ["api-m.paypal.com", "api-m.sandbox.paypal.com"],
    reads: both,
    writes: ["shares", "spends"],
    others: ["GET /v1/identity/**: private", "POST /v1/billing/subscriptions/*/cancel: deletes"],
  },
  {
    hosts: ["*.myshopify.com"],
    reads: both,
    writes: ["shares", "spends"],
    others: [`POST /admin/api/*/graphql.json /api/*/graphql.json: ${all} spends`],
  },
  { hosts: ["connect.squareup.com"], reads: both, writes: ["shares", "spends"] },
  {
    hosts: ["*.twilio.com"],
    reads: both,
    writes: ["shares", "spends"],
    others: ["GET /2010-04-01/Accounts/*/Balance.json /2010-04-01/Accounts.json: private"],
  },
  {
    hosts: ["api.sendgrid.com", "api.eu.sendgrid.com", "api.resend.com", "*.api.mailchimp.com"],
    reads: ["private"],
    writes: ["shares", "spends"],
  },
  {
    hosts: ["api.mailgun.net", "api.eu.mailgun.net"],
    reads: both,
    writes: ["shares", "spends"],
  },
  {
    hosts: ["api.openai.com"],
    reads: ["private"],
    writes: ["spends"],
    // A tool of the model can search the web.
    others: ["GET /v1/models /v1/models/*:", "POST /v1/responses /v1/chat/completions: untrusted spends"],
  },
  {
    hosts: ["api.anthropic.com"],
    reads: ["private"],
    writes: ["spends"],
    others: ["GET /v1/models /v1/models/*:", "POST /v1/messages: untrusted spends"],
  },
  {
    hosts: [
      ...["api.mistral.ai", "api.eu.mistral.ai", "api.us.mistral.ai", "api.groq.com", "openrouter.ai"],
      ...["api.x.ai", "api.perplexity.ai", "generativelanguage.googleapis.com"],
    ],
    reads: ["private"],
    writes: ["untrusted", "spends"],
  },
  {
    hosts: ["api.tavily.com", "api.exa.ai", "api.search.brave.com", "serpapi.com"],
    reads: ["untrusted", "spends"],
    writes: ["untrusted", "spends"],
  },
  {
    hosts: ["api.x.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /2/users/me: private",
      "GET /2/tweets /2/tweets/* /2/tweets/search/recent /2/users/*/tweets: untrusted",
    ],
  },
  {
    hosts: ["oauth.reddit.com"],
    reads: both,
    writes: ["shares"],
    others: [
      "GET /api/v1/me /api/v1/me/**: private",
      "GET /r/*/new /r/*/hot /r/*/top /r/*/about: untrusted",
      "POST /api/del: deletes",
    ],
  },
  { hosts: ["api.linkedin.com"], reads: both, writes: ["shares"], others: ["GET /v2/userinfo: private"] },
  { hosts: ["graph.facebook.com", "graph.instagram.com"], reads: both, writes: ["shares", "spends"] },
  { hosts: ["api.figma.com"], reads: both, writes: ["shares"], others: ["GET /v1/me: private"] },
  {
    hosts: ["api.zoom.us"],
    reads: both,
    writes: ["shares"],
    others: ["GET /v2/users/me: private", "PUT /v2/meetings/*/status: deletes"],
  },
  {
    hosts: ["sentry.io", "us.sentry.io", "de.sentry.io"],
    reads: both,
    writes: ["shares"],
  },
  {
    hosts: ["api.cloudflare.com"],
    reads: ["private"],
    writes: ["shares", "spends", "deletes"],
    others: ["GET /client/v4/user /client/v4/user/tokens/verify /client/v4/ips:"],
  },
  {
    hosts: ["api.vercel.com", "api.netlify.com", "api.digitalocean.com"],
    reads: ["private"],
    writes: ["shares", "spends"],
  },
];
