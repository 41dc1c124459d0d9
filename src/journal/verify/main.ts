#!/usr/bin/env node
import { verifyProgram } from './program.js';

process.exitCode = await verifyProgram(process.argv.slice(2), {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
});
