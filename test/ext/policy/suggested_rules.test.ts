import { describe, expect, it } from "vitest";
import { compileCondition } from "../../../src/ext/policy/condition.js";
import {
  type AllowedTemplate,
  maxSuggested,
  type Suggestion,
  suggestedRules,
} from "../../../src/ext/policy/suggested_rules.js";
import { describedUrl, factsOf } from "../../../src/model/access/request_facts.js";
import { exampleOf } from "../../../src/model/access/request_template.js";

const seen = (given: Partial<AllowedTemplate> = {}): AllowedTemplate => ({
  ...{ principal: "key:claude", provider: "github", host: "api.github.com" },
  ...{ method: "GET", path: "/user", count: 1n },
  ...given,
});

/** Whether the rules allow an example of a template. */
function judge({ rules }: Suggestion): (template: AllowedTemplate) => boolean {
  const compiled = rules.map(({ provider, condition }) => ({
    provider,
    when: compileCondition(condition.join(" ")),
  }));
  return ({ principal, provider, host, method, path }) => {
    const connection = { connectionId: "c", userId: "ada", provider: { id: provider, name: provider } };
    const request = {
      ...describedUrl(`https://${host}${exampleOf(path)}`),
      ...{ method, headers: undefined, body: undefined, session: undefined },
    };
    const facts = factsOf(principal, connection, request, 0);
    return compiled.some((rule) => rule.provider === provider && rule.when(facts) === true);
  };
}

function suggested(templates: readonly AllowedTemplate[]): Suggestion {
  const suggestion = suggestedRules(templates);
  if (!suggestion) throw new Error("nothing was suggested");
  return suggestion;
}

describe("suggested rules", () => {
  it("allow what was seen of each agent, its grants included, and nothing that differs in one thing", () => {
    const path = "/repos/acme/app/issues/{number}";
    const templates = [
      seen({ path }),
      seen({ method: "POST", path: "/repos/acme/app/issues" }),
      seen({ principal: "owner", path: "/orgs/acme.x" }),
      seen({ principal: 'jwt:a"b\\ü', host: "uploads.github.com:8443", path: "/x/{any}" }),
      seen({ provider: "slack", host: "slack.com", method: "POST", path: "/api/chat.postMessage" }),
    ];
    const suggestion = suggested(templates);
    const allows = judge(suggestion);
    for (const template of templates) expect([template, allows(template)]).toEqual([template, true]);
    expect(allows(seen({ path, principal: "key:claude.github.0a1b2c" }))).toBe(true);
    for (const other of [
      { principal: "key:other" },
      { principal: "key:claude2" },
      { principal: "key:claude.github" },
      { principal: "owner" },
      { provider: "slack" },
      { host: "uploads.github.com" },
      { host: "slack.com" },
      { method: "DELETE" },
      { path: "/repos/acme/app/issues/x" },
      { path: "/repos/acme/app/issues/1/comments" },
      { path: "/repos/acme/app/issues" },
    ])
      expect([other, allows(seen({ path, ...other }))]).toEqual([other, false]);
  });

  it("are one for what several agents sent alike, with its counts together", () => {
    const { rules, isForAll } = suggested([seen({ count: 2n }), seen({ principal: "key:bot", count: 3n })]);
    expect(isForAll).toBe(false);
    expect(rules.map(({ templates }) => templates.map(({ count }) => count))).toEqual([[5n]]);
  });

  it("are cut before a condition is too long, and still allow each template", () => {
    const templates = Array.from({ length: 600 }, (_, at) =>
      seen({ host: `h${at % 40}.example`, method: at % 3 ? "GET" : "PUT", path: `/part/of/a/path-${at}x` }),
    );
    const suggestion = suggested(templates);
    const allows = judge(suggestion);
    expect(suggestion.rules.length).toBeLessThanOrEqual(maxSuggested);
    for (const template of templates) expect(allows(template)).toBe(true);
  });

  it("are for all agents where they would be too many, and none where they are too many even so", () => {
    const agents = Array.from({ length: 31 }, (_, at) =>
      seen({ principal: `key:a${at}`, path: `/p/${at}x` }),
    );
    const suggestion = suggested(agents);
    const allows = judge(suggestion);
    expect([suggestion.isForAll, suggestion.rules.length]).toEqual([true, 1]);
    for (const template of agents) expect(allows(template)).toBe(true);
    const providers = Array.from({ length: 31 }, (_, at) => seen({ provider: `p${at}` }));
    expect(suggestedRules(providers)).toBeUndefined();
  });
});
