#!/usr/bin/env node
import { program } from './program.js';

process.exitCode = await program(process.argv.slice(2), {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
});
