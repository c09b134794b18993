#!/usr/bin/env node
import { runProcess } from "./cli/process_shell.js";
import { run } from "./cli/program.js";
import { extensions } from "./ext/extensions.js";

await runProcess(run, extensions);
