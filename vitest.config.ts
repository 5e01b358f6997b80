// SPDX-License-Identifier: BSD-2-Clause
import { defineConfig } from 'vitest/config';

// Two projects, so that CI can run as root only what needs it:
//   user  test/**/*.test.ts, without capabilities
//   root  test/**/*.root.test.ts; each skips itself by name where it lacks the privilege
const common = {
  disableConsoleIntercept: true,
  globalSetup: ['test/support/runtime-dir.ts'],
  testTimeout: 20_000,
  hookTimeout: 20_000,
  // Two-process tests want the cores for themselves.
  maxWorkers: 2,
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'user',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.root.test.ts'],
        },
      },
      { test: { ...common, name: 'root', include: ['test/**/*.root.test.ts'] } },
    ],
  },
});
