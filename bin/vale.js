#!/usr/bin/env node
// SPDX-License-Identifier: BSD-2-Clause
import module from 'node:module';

module.enableCompileCache?.();
const { main } = await import('../dist/cli.js');
await main(process.argv.slice(2));
