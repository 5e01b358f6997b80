// SPDX-License-Identifier: BSD-2-Clause
// The ways each of `vale ctl`'s reports can look. Only the reference's lines are loaded at once.
import type { View } from '../session/show.js';
import { listLines, statsLines } from './ctl-plain.js';

async function terminalParts() {
  const [tables, { terminalLook }] = await Promise.all([
    import('./ctl-tables.js'),
    import('./look.js'),
  ]);
  return { ...tables, look: await terminalLook() };
}

const json: View['json'] = async () => (await import('./ctl-json.js')).snapshotJson;

export const listView: View = {
  plain: listLines,
  json,
  table: async () => {
    const { listTables, look } = await terminalParts();
    return (snapshot, rates) => listTables(snapshot, look, rates);
  },
};

export const statsView: View = {
  plain: statsLines,
  json,
  table: async () => {
    const { statsTables, look } = await terminalParts();
    return (snapshot, rates) => statsTables(snapshot, look, rates);
  },
};
