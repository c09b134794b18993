import { placeholder } from "./proxy/placeholder.js";
import type { Route } from "./proxy/routes.js";

/** Where tools look for the credential of an API, by its host: many do not start without one. */
const variablesOf: Readonly<Record<string, readonly string[]>> = {
  "api.anthropic.com": ["ANTHROPIC_API_KEY"],
  "api.cloudflare.com": ["CLOUDFLARE_API_TOKEN"],
  "api.cohere.com": ["CO_API_KEY"],
  "api.deepseek.com": ["DEEPSEEK_API_KEY"],
  "api.digitalocean.com": ["DIGITALOCEAN_ACCESS_TOKEN"],
  "api.exa.ai": ["EXA_API_KEY"],
  "api.firecrawl.dev": ["FIRECRAWL_API_KEY"],
  "api.github.com": ["GITHUB_TOKEN", "GH_TOKEN"],
  "api.groq.com": ["GROQ_API_KEY"],
  "api.heroku.com": ["HEROKU_API_KEY"],
  "api.linear.app": ["LINEAR_API_KEY"],
  "api.mistral.ai": ["MISTRAL_API_KEY"],
  "api.notion.com": ["NOTION_TOKEN"],
  "api.openai.com": ["OPENAI_API_KEY"],
  "api.perplexity.ai": ["PERPLEXITY_API_KEY"],
  "api.replicate.com": ["REPLICATE_API_TOKEN"],
  "api.sendgrid.com": ["SENDGRID_API_KEY"],
  "api.stripe.com": ["STRIPE_API_KEY"],
  "api.tavily.com": ["TAVILY_API_KEY"],
  "api.vercel.com": ["VERCEL_TOKEN"],
  "api.x.ai": ["XAI_API_KEY"],
  "generativelanguage.googleapis.com": ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
  "gitlab.com": ["GITLAB_TOKEN"],
  "huggingface.co": ["HF_TOKEN"],
  "openrouter.ai": ["OPENROUTER_API_KEY"],
  "sentry.io": ["SENTRY_AUTH_TOKEN"],
  "slack.com": ["SLACK_BOT_TOKEN"],
};

/**
 * The variables of a program that hold a placeholder: those of the providers' tools, and what was asked for.
 *
 * @param given by the name of the variable, that of the provider
 */
export function placeholdersFor(
  routes: readonly Route[],
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const known = routes.flatMap(({ providerName, places }) =>
    places.flatMap(({ host }) => (variablesOf[host] ?? []).map((name) => [name, providerName] as const)),
  );
  const named = [...known, ...Object.entries(given)];
  return Object.fromEntries(named.map(([name, providerName]) => [name, placeholder(providerName)]));
}
