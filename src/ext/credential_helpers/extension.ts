import type { Extension } from "../../core/registry.js";
import { adoptCommand } from "./adopt/adopt.js";
import { curlCommand } from "./curl.js";
import { dockerCredentialCommand } from "./docker_credential.js";
import { execCommand } from "./exec.js";
import { gitCredentialCommand } from "./git_credential.js";
import { tokenFormats } from "./token_formats.js";

/** Commands and formats by which git, docker, scripts, and other programs use a credential. */
export const credentialHelpers: Extension = {
  name: "credential_helpers",
  tokenFormats,
  commands: [
    {
      group: "Use a credential",
      name: "exec",
      summary: "run a program with credentials in its environment",
      examples: "--env GITHUB_TOKEN=github -- gh pr list",
      make: execCommand,
    },
    {
      group: "Use a credential",
      name: "curl",
      summary: "send one authorized request to a provider's API",
      examples: "github /user/repos?per_page=5",
      make: curlCommand,
    },
    {
      group: "Use a credential",
      name: "git-credential",
      summary: "provide passwords to git (a credential helper)",
      examples: "github get",
      make: gitCredentialCommand,
    },
    {
      group: "Use a credential",
      name: "docker-credential",
      summary: "provide registry passwords to docker (a credential helper)",
      examples: "github --host ghcr.io list",
      make: dockerCredentialCommand,
    },
    {
      group: "Use a credential",
      name: "adopt",
      summary: "move keys that lie in configuration files into nexusd",
      examples: ".mcp.json .env --dry-run",
      make: adoptCommand,
    },
  ],
};
