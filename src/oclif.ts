// SPDX-License-Identifier: BSD-2-Clause
// The parts of oclif that a verb needs. Importing '@oclif/core' as a whole would load all of it at
// every start; the build therefore resolves that name to this file (scripts/build.mjs).
export * as Args from '@oclif/core/args';
export { Command } from '@oclif/core/command';
export { Config } from '@oclif/core/config';
export * as Flags from '@oclif/core/flags';
