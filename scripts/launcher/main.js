#!/usr/bin/env node
import { load } from "./bundle/load.js";

await load().exports.runProcess();
