/** A scenario of `@modelcontextprotocol/conformance` that `nexusd mcp` must pass. */
export interface Applying {
  readonly scenario: string;
  /** Checks of it that are about what no tool of ours does, each with the reason. */
  readonly except?: Readonly<Record<string, string>>;
}

const diagnosticTool = "calls a diagnostic tool of a fixed name, which a server of real tools does not have";
const noPrompts = "nexusd mcp has no prompts";
const noResources = "nexusd mcp has no resources";

export const applying: readonly Applying[] = [
  { scenario: "server-initialize" },
  { scenario: "server-session-lifecycle" },
  {
    scenario: "server-stateless",
    except: {
      "sep-2575-server-rejects-undeclared-capability": diagnosticTool,
      "sep-2575-missing-capability-http-400": diagnosticTool,
      "sep-2575-http-server-no-independent-requests-on-stream": diagnosticTool,
      "sep-2575-server-no-log-without-loglevel": diagnosticTool,
    },
  },
  { scenario: "logging-set-level" },
  { scenario: "ping" },
  { scenario: "tools-list" },
  { scenario: "server-sse-multiple-streams" },
  { scenario: "dns-rebinding-protection" },
  {
    scenario: "caching",
    except: {
      "sep-2549-prompts-list-caching-hints": noPrompts,
      "sep-2549-resources-list-caching-hints": noResources,
      "sep-2549-resources-templates-list-caching-hints": noResources,
    },
  },
  { scenario: "http-header-validation" },
];

/** Why the others do not apply, by the pattern of their names. */
export const leftOut: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^completion-complete$/, "nexusd mcp has no prompts and no resource templates to complete"],
  [/^resources-|^sep-2164-resource-not-found$/, noResources],
  [/^prompts-/, noPrompts],
  [/^sep-2640-skills-/, "nexusd mcp has no skills, an extension"],
  [/^tasks-/, "nexusd mcp has no tasks, an extension; it waits in the call, with progress"],
  [
    /^http-custom-header-server-validation$/,
    "no tool of nexusd mcp has parameters in headers (x-mcp-header)",
  ],
  [
    /^server-sse-polling$/,
    "streams cannot be resumed, which is optional: the scenario has recommendations alone",
  ],
  [
    /^(tools-call-|json-schema-2020-12$|elicitation-sep|input-required-result-)/,
    "calls tools of an 'everything server' by their fixed names",
  ],
];
