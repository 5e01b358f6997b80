// SPDX-License-Identifier: BSD-2-Clause
// Which ports are attached network interfaces.
import type { AgentRow } from '../native-types.js';

/** Who serves a port; the host side "vale0:em1^" is served with "vale0:em1". */
export function servedBy(agents: readonly AgentRow[], port: string): AgentRow | undefined {
  return agents.find((row) => row.port === port || (row.host && `${row.port}^` === port));
}
