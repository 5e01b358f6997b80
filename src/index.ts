// SPDX-License-Identifier: BSD-2-Clause
/**
 * The switch as a library: what the `vale` command can do, a program can do.
 *
 *     import { openPort } from 'vale-switch';
 *
 * @packageDocumentation
 */
export { bridge, generate, Run, type BridgeOptions, type GenerateOptions } from './engine.js';
export type {
  AgentRow,
  DropReason,
  EngineSample,
  FdbRow,
  PktGenFunction,
  PortCounters,
  PortInfo,
  PortRow,
  SwitchRow,
} from './native-types.js';
export type { ValeFailure } from './port/failure.js';
export { BROADCAST, formatMac, isGroup, parseMac } from './port/mac.js';
export { openPort, type OpenPortOptions } from './port/open.js';
export { ValePort, type BatchOptions, type SendOptions } from './port/port.js';
export { Runtime, type AttachWishes, type OpenOptions, type PortWishes } from './port/runtime.js';
export { RxBatch, type Extent } from './port/rx-batch.js';
