/** A scenario of `@modelcontextprotocol/conformance` that `nexusd mcp` must pass. */
export interface Applying {
  readonly scenario: string;
  /** Checks of it that are about what no tool of ours does, each with the reason. */
  readonly except?: Readonly<Record<string, string>>;
}

const diagnosticTool = "calls a diagnostic tool of a fixed name; it is played with the suite's own tools";
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

/**
 * Scenarios that call tools by their fixed names: they are played against the HTTP listener of `nexusd mcp` with those tools behind it
 * (`suite_server.ts`), since they judge what it carries: answers of every kind, streams, questions to the client.
 */
export const withSuiteTools: readonly Applying[] = [
  ...["server-stateless", "tools-call-simple-text", "tools-call-image", "tools-call-audio"],
  ...[
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-with-logging",
    "tools-call-error",
  ],
  ...["tools-call-with-progress", "tools-call-sampling", "tools-call-elicitation"],
  ...[
    "basic-elicitation",
    "basic-sampling",
    "basic-list-roots",
    "request-state",
    "multiple-input-requests",
  ].map(inputRequired),
  ...["multi-round", "missing-input-response", "result-type", "unsupported-methods"].map(inputRequired),
  ...["tampered-state", "capability-check", "ignore-extra-params", "validate-input"].map(inputRequired),
].map((scenario) => ({ scenario }));

function inputRequired(name: string): string {
  return `input-required-result-${name}`;
}

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
  [/^input-required-result-non-tool-request$/, noPrompts],
  [
    /^json-schema-2020-12$/,
    "no tool of nexusd mcp has a schema with these words; the SDK writes schemas, not the listener",
  ],
  [/^elicitation-sep/, "nexusd mcp asks with links, and never with forms"],
];
