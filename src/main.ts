#!/usr/bin/env node
import { runProcess } from "./cli/process_shell.js";

await runProcess();
