/** The environment of this process. Everything else is handed the variables. */
export function processEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}
