import { Command, InvalidArgumentError } from "commander";
import { CommandFailure, type Shell } from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";

interface Flags {
  readonly port: number;
  readonly tokenLifetime: number;
}

export function demoProviderCommand(shell: Shell): Command {
  return new Command("demo-provider")
    .description(
      "run a small OAuth provider on this machine until interrupted: it has one user, ada, and no password, and keeps nothing",
    )
    .option("--port <port>", "the port on 127.0.0.1, from 1024 to 65535", numberIn(1024, 65_535), 9099)
    .option(
      "--token-lifetime <seconds>",
      "how long an access token lives, from 10 to 3600",
      numberIn(10, 3600),
      60,
    )
    .action((flags: Flags) => serve(shell, flags));
}

function numberIn(min: number, max: number) {
  return (text: string): number => {
    const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}`);
  };
}

async function serve(shell: Shell, { port, tokenLifetime }: Flags): Promise<void> {
  const { DemoProvider } = await import("./demo_provider.js");
  const provider = new DemoProvider({
    ...{ clock: shell.clock, port, tokenLifetimeMs: tokenLifetime * 1000 },
    onToken: (text) => shell.stdout.write(`${text}\n`),
  });
  try {
    await provider.open();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "the port is in use: choose another one with --port" : message;
    throw new CommandFailure(exitCodes.failed, `cannot listen on 127.0.0.1:${port}: ${why}`, error);
  }
  shell.stdout.write(nextSteps(shell.program, provider.issuer, port));
  await shell.orInterrupted("The demo provider has stopped, and its tokens are void.", () => provider.closed);
}

function nextSteps(program: string, issuer: string, port: number): string {
  const add = `${program} provider add demo --issuer ${issuer} --discovery --client-id demo --auth-method none`;
  return `The demo provider runs at ${issuer}. Press Ctrl-C to stop it. In other terminals:

  ${program} serve --allow-loopback-providers ${port}
  ${add} \\
    --scopes profile --api-base-url ${issuer}/api
  ${program} connect demo --user ada
  ${program} curl demo/ada /user

`;
}
