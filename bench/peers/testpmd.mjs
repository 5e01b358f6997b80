// SPDX-License-Identifier: BSD-2-Clause
// Generation alone: DPDK's testpmd on one processor into a device that discards. txonly sends one frame
// again and again, flowgen counts through addresses and writes checksums.
const figure = (mode, kind) => ({
  name: mode,
  size: 60,
  ours: { tool: 'generate', args: { kind } },
  start: async (tools) => {
    const pmd = await tools.testpmd({
      name: mode,
      vdevs: ['net_null0,no-rx=1'],
      mode,
      main: '1',
      worker: '0',
      args: ['--txpkts=60'],
    });
    await pmd.ask('start');
    await tools.sleep(0.3);
    return () => pmd.rate('TX', tools.seconds);
  },
});

export default {
  name: 'testpmd',
  title: 'DPDK testpmd into a null device, one core, against pkt-gen -f tx (fixed; range)',
  needs: { commands: ['dpdk-testpmd', 'stdbuf'], packages: 'dpdk', root: true },
  figures: [figure('txonly', 'fixed'), figure('flowgen', 'range')],
};
