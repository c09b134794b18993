import { describe, expect, it } from "vitest";
import { Catalogue } from "../../../src/catalogue/catalogue.js";
import { routeOf, SessionRoutes } from "../../../src/ext/egress/proxy/routes.js";

/**
 * Where the vendors' own clients send a credential, as their published code has it, and hosts beside them that the vendor documents. Of npm,
 * or of PyPI where it says so.
 */
const seen: readonly {
  readonly entries: string;
  readonly client: string;
  readonly urls: string;
  /** Hosts that no client names: by the page that does. */
  readonly documented?: Readonly<Record<string, string>>;
}[] = [
  {
    entries: "stripe stripe-connect",
    client: "stripe 23.1.0, stripe 16.1.0 of PyPI",
    urls: "api.stripe.com/v1/charges api.stripe.com/v2/core/events files.stripe.com/v1/files meter-events.stripe.com/v2/billing/meter_event_stream",
  },
  { entries: "openai", client: "openai 6.49.0", urls: "api.openai.com/v1/responses" },
  { entries: "anthropic", client: "@anthropic-ai/sdk 1.15.0", urls: "api.anthropic.com/v1/messages" },
  {
    entries: "slack slack-user",
    client: "@slack/web-api 8.2.0, slack_sdk 3.48.0 of PyPI",
    urls: "slack.com/api/chat.postMessage files.slack.com/upload/v1/x",
  },
  { entries: "notion notion-token", client: "@notionhq/client 5.26.0", urls: "api.notion.com/v1/search" },
  {
    entries: "cohere",
    client: "cohere-ai 8.1.0",
    urls: "api.cohere.com/v1/chat api.cohere.com/v2/chat",
    documented: { "api.cohere.ai": "https://docs.cohere.com/docs/compatibility-api" },
  },
  {
    entries: "airtable airtable-pat",
    client: "airtable 0.12.2, pyairtable 3.5.1 of PyPI",
    urls: "api.airtable.com/v0/meta/bases content.airtable.com/v0/b/r/f/uploadAttachment",
  },
  {
    entries: "contentful",
    client: "contentful-management 12.18.0",
    urls: "api.contentful.com/spaces/1 upload.contentful.com/spaces/1/uploads",
  },
  {
    entries: "linear linear-api-key",
    client: "@linear/sdk 98.0.0",
    urls: "api.linear.app/graphql",
    documented: { "uploads.linear.app": "https://linear.app/developers/file-storage-authentication" },
  },
  {
    entries: "pinecone",
    client: "@pinecone-database/pinecone 8.2.0",
    urls: "api.pinecone.io/indexes prod-1-data.ke.pinecone.io/assistant prod-eu-data.ke.pinecone.io/assistant",
  },
  {
    entries: "twilio",
    client: "twilio 6.3.1",
    urls: "api.twilio.com/2010-04-01/Accounts.json verify.twilio.com/v2/Services flex-api.twilio.com/v1/Configuration",
  },
  {
    entries: "hugging-face hugging-face-token",
    client: "huggingface_hub 2.4.0 of PyPI",
    urls: "huggingface.co/api/whoami-v2 huggingface.co/gpt2/resolve/main/config.json router.huggingface.co/v1/models api.endpoints.huggingface.cloud/v2/endpoint",
    documented: { "datasets-server.huggingface.co": "https://huggingface.co/docs/dataset-viewer" },
  },
  {
    entries: "sentry sentry-token",
    client: "@sentry/cli 3.8.0",
    urls: "sentry.io/api/0/projects/",
    documented: {
      "us.sentry.io": "https://docs.sentry.io/api/",
      "de.sentry.io": "https://docs.sentry.io/api/",
    },
  },
  {
    entries: "discord discord-bot",
    client: "@discordjs/rest 2.6.3",
    urls: "discord.com/api/v10/users/@me discord.com/api/v9/gateway",
  },
  {
    entries: "dropbox",
    client: "dropbox 10.34.0",
    urls: "api.dropboxapi.com/2/files/list_folder content.dropboxapi.com/2/files/upload",
  },
  {
    entries: "github github-pat github-app",
    client: "gh 2.23.0 of Debian, PyGithub 2.10.0 of PyPI",
    urls: "api.github.com/user api.github.com/graphql uploads.github.com/repos/a/b/releases/1/assets",
  },
  {
    entries: "gitlab",
    client: "python-gitlab 8.6.0 of PyPI",
    urls: "gitlab.com/api/v4/projects gitlab.com/api/graphql",
  },
  {
    entries: "jira confluence atlassian",
    client: "jira.js 5.4.0",
    urls: "api.atlassian.com/ex/jira/1/rest/api/3/myself",
  },
  { entries: "asana", client: "asana 3.2.0", urls: "app.asana.com/api/1.0/tasks" },
  {
    entries: "hubspot",
    client: "@hubspot/api-client 13.5.0",
    urls: "api.hubapi.com/crm/v3/objects/contacts",
  },
  {
    entries: "intercom",
    client: "intercom-client 7.0.3",
    urls: "api.intercom.io/me api.eu.intercom.io/me api.au.intercom.io/me",
  },
  {
    entries: "sendgrid",
    client: "@sendgrid/client 8.1.6",
    urls: "api.sendgrid.com/v3/mail/send api.eu.sendgrid.com/v3/mail/send",
  },
  {
    entries: "mailgun",
    client: "mailgun.js 14.0.1",
    urls: "api.mailgun.net/v3/d/messages api.eu.mailgun.net/v3/d/messages storage-us-east4.api.mailgun.net/v3/domains/d/messages/1",
  },
  { entries: "figma", client: "figma-api 1.12.0", urls: "api.figma.com/v1/me api.figma.com/v2/webhooks" },
  {
    entries: "elevenlabs",
    client: "@elevenlabs/elevenlabs-js 2.73.0",
    urls: "api.elevenlabs.io/v1/voices api.elevenlabs.io/v2/voices api.us.elevenlabs.io/v1/voices api.eu.residency.elevenlabs.io/v1/voices api.in.residency.elevenlabs.io/v1/voices api.sg.residency.elevenlabs.io/v1/voices",
  },
  {
    entries: "assemblyai",
    client: "assemblyai 4.41.5",
    urls: "api.assemblyai.com/v2/transcript streaming.assemblyai.com/v3/ws sync.assemblyai.com/ dictation.assemblyai.com/ llm-gateway.assemblyai.com/v1/chat/completions",
  },
  {
    entries: "deepgram",
    client: "@deepgram/sdk 5.13.0",
    urls: "api.deepgram.com/v1/listen api.deepgram.com/v2/speak agent.deepgram.com/v1/agent/converse",
  },
  {
    entries: "mistral",
    client: "@mistralai/mistralai 2.7.0",
    urls: "api.mistral.ai/v1/chat/completions api.mistral.ai/v2/x api.eu.mistral.ai/v1/models api.us.mistral.ai/v1/models",
  },
  { entries: "groq", client: "groq-sdk 1.6.0", urls: "api.groq.com/openai/v1/models" },
  { entries: "replicate", client: "replicate 1.4.0", urls: "api.replicate.com/v1/predictions" },
  { entries: "openrouter", client: "@openrouter/sdk 1.3.19", urls: "openrouter.ai/api/v1/models" },
  {
    entries: "perplexity",
    client: "@perplexity-ai/perplexity_ai 0.38.5",
    urls: "api.perplexity.ai/chat/completions",
  },
  {
    entries: "google-gemini",
    client: "@google/genai 2.32.0",
    urls: "generativelanguage.googleapis.com/v1beta/models",
  },
  { entries: "exa", client: "exa-js 2.23.0", urls: "api.exa.ai/search" },
  { entries: "tavily", client: "@tavily/core 0.7.13", urls: "api.tavily.com/search" },
  { entries: "firecrawl", client: "@mendable/firecrawl-js 1.21.1", urls: "api.firecrawl.dev/v1/scrape" },
  {
    entries: "algolia",
    client: "algoliasearch 5.65.0",
    urls: "ab12cd34ef.algolia.net/1/indexes ab12cd34ef-dsn.algolia.net/1/indexes/i/query ab12cd34ef-1.algolianet.com/1/keys insights.algolia.io/1/events analytics.algolia.com/2/searches",
  },
  { entries: "postmark", client: "postmark 5.1.0", urls: "api.postmarkapp.com/email" },
  { entries: "resend", client: "resend 6.38.0", urls: "api.resend.com/emails" },
  { entries: "square", client: "square 46.0.0", urls: "connect.squareup.com/v2/payments" },
  {
    entries: "xero",
    client: "xero-node 20.0.0",
    urls: "api.xero.com/api.xro/2.0/Invoices api.xero.com/connections api.xero.com/payroll.xro/2.0/Employees api.xero.com/files.xro/1.0/Files",
  },
  { entries: "mollie", client: "@mollie/api-client 4.6.0", urls: "api.mollie.com/v2/payments" },
  {
    entries: "razorpay",
    client: "razorpay 2.9.8",
    urls: "api.razorpay.com/v1/orders api.razorpay.com/v2/accounts",
  },
  {
    entries: "paypal",
    client: "@paypal/paypal-server-sdk 2.5.0",
    urls: "api-m.paypal.com/v2/checkout/orders",
  },
  {
    entries: "webflow",
    client: "webflow-api 3.3.4",
    urls: "api.webflow.com/v2/sites api-cdn.webflow.com/v2/collections/1/items",
  },
  { entries: "monday", client: "monday-sdk-js 0.5.9", urls: "api.monday.com/v2 api.monday.com/v2/file" },
  { entries: "typeform", client: "@typeform/api-client 2.8.0", urls: "api.typeform.com/forms" },
  { entries: "cloudflare", client: "cloudflare 7.3.0", urls: "api.cloudflare.com/client/v4/zones" },
  { entries: "vercel", client: "@vercel/sdk 1.28.35", urls: "api.vercel.com/v9/projects" },
  { entries: "spotify", client: "@spotify/web-api-ts-sdk 1.2.0", urls: "api.spotify.com/v1/me" },
  { entries: "x", client: "twitter-api-v2 1.29.1", urls: "api.x.com/2/users/me api.x.com/1.1/x" },
  {
    entries: "box",
    client: "box-node-sdk 10.12.0",
    urls: "api.box.com/2.0/users/me upload.box.com/api/2.0/files/content",
  },
];

const catalogue = await Catalogue.open(undefined);
const rows = seen.flatMap(({ entries, ...row }) => entries.split(" ").map((entry) => ({ entry, ...row })));

describe("the hosts of an entry of the catalogue", () => {
  it.each(rows)("$entry: those that $client uses, and no other but documented ones", ({ entry, ...row }) => {
    const { variables } = catalogue.get(entry);
    const samples = Object.fromEntries(variables.map(({ name, example }) => [name, example]));
    const { apiBaseUrl, apiHosts } = catalogue.instantiate(entry, samples);
    const route = routeOf({ name: entry, apiBaseUrl, apiHosts }, "");
    const routes = new SessionRoutes(() => [route]);
    const places = row.urls
      .split(" ")
      .map((url) => [url.split("/")[0] ?? "", url.slice(url.indexOf("/"))] as const);
    const kinds = places.map(([host, path]) => [host + path, routes.match(host, 443, [path]).kind]);
    expect(kinds).toEqual(places.map(([host, path]) => [host + path, "route"]));
    const known = [...places.map(([host]) => host), ...Object.keys(row.documented ?? {})];
    const unknown = route.places.filter((place) => {
      const only = new SessionRoutes(() => [{ ...route, places: [place] }]);
      return !known.some((host) => only.has(host, 443));
    });
    expect(unknown).toEqual([]);
  });

  it("are checked for fifty entries at least", () =>
    expect(new Set(rows.map(({ entry }) => entry)).size).toBeGreaterThan(50));
});
