// SPDX-License-Identifier: BSD-2-Clause
// The sentences of the extcap protocol (wireshark's doc/README.extcap and extcap(4)).
import { MOST_SNAPLEN } from '../options/capture.js';
import type { ExtcapInterface } from '../session/extcap.js';

type Value = string | number | boolean;

/** A value in braces ends at the first one that closes. */
const shown = (value: Value) => String(value).replaceAll(/[{}]/g, '_');

/** "arg {number=0}{call=--snaplen}…" */
function sentence(word: string, values: Record<string, Value>): string {
  const parts = Object.entries(values).map(([name, value]) => `{${name}=${shown(value)}}`);
  return `${word} ${parts.join('')}`;
}

export function interfaceSentences(version: string, list: readonly ExtcapInterface[]): string[] {
  return [
    sentence('extcap', { version, display: 'VALE switch ports' }),
    ...list.map(({ value, display }) => sentence('interface', { value, display })),
  ];
}

export const dltSentences = (): string[] => [
  sentence('dlt', { number: 1, name: 'EN10MB', display: 'Ethernet' }),
];

/** The options that Wireshark asks its user for. */
export const configSentences = (): string[] => [
  sentence('arg', {
    number: 0,
    call: '--snaplen',
    display: 'Bytes kept of a frame',
    tooltip: 'The rest of longer frames is not captured; 0 keeps all',
    type: 'unsigned',
    range: `0,${MOST_SNAPLEN}`,
    default: 0,
  }),
  sentence('arg', {
    number: 1,
    call: '--buffer',
    display: 'Buffer, MiB',
    tooltip: 'Memory for frames that are not written yet',
    type: 'unsigned',
    range: '1,65536',
    default: 64,
  }),
];
