// SPDX-License-Identifier: BSD-2-Clause
import { defineConfig } from 'vitest/config';

// Projects, so that CI can run as root only what needs it:
//   user    test/**/*.test.ts, without capabilities
//   kernel  the generator, the bridge and ctl once more, with VALE_DEVICE=kernel under `vale run`: what
//           drives the kernel's netmap, on the /dev/netmap of native/preload
//   root    test/**/*.root.test.ts; each skips itself by name where it lacks the privilege
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
      {
        test: {
          ...common,
          name: 'kernel',
          include: ['pkt-gen', 'bridge', 'ctl', 'ctl-refusals'].map(
            (name) => `test/${name}.test.ts`,
          ),
          env: { VALE_DEVICE: 'kernel' },
        },
      },
      { test: { ...common, name: 'root', include: ['test/**/*.root.test.ts'] } },
    ],
  },
});
