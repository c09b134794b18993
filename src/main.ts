#!/usr/bin/env node
import { runProcess } from "./cli/process_shell.js";
import { run } from "./cli/program.js";

await runProcess(run);
