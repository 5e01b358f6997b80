// SPDX-License-Identifier: BSD-2-Clause
/** From a name to an open port, for programs that want nothing else of the runtime directory. */
import type { ValePort } from './port.js';
import { Runtime, type OpenOptions } from './runtime.js';

export interface OpenPortOptions extends OpenOptions {
  /** "vale0:a", "vale-foo", "eth0", … */
  name: string;
  /** The runtime directory; default: $VALE_DIR, else the user's own. */
  directory?: string;
}

/**
 * Opens a port of a switch, making both if they are not there, or a network interface as a wire.
 * The port lives until close(), or until it is disposed of:
 *
 *     await using port = await openPort('vale0:a');
 *
 * Every thread opens its own: a ValePort cannot be passed to a worker.
 * @param port its name, or a name with wishes
 * @throws as {@link Runtime} and {@link Runtime.openPort}
 */
export async function openPort(port: string | OpenPortOptions): Promise<ValePort> {
  const { name, directory, ...options } = typeof port === 'string' ? { name: port } : port;
  const runtime = new Runtime(directory);
  try {
    return await runtime.openPort(name, options);
  } finally {
    runtime.close();
  }
}
