// SPDX-License-Identifier: BSD-2-Clause
// Flag definitions that several verbs share.
import { Flags } from '@oclif/core';

import { MOST_SNAPLEN } from './capture.js';
import { UsageError } from '../errors.js';
import { WIRE_BACKENDS, type WireBackend, type WireOptions } from '../native-types.js';
import { integer, seconds, type NumberRule } from './number.js';

/** A flag that takes a whole number within the rule. */
export function numberFlag(rule: NumberRule) {
  return Flags.custom<number>({ parse: async (text) => integer(text, rule) });
}

export const secondsFlag = Flags.custom<number>({ parse: async (text) => seconds(text) });

/** How much a capture keeps of a frame. */
export const snaplenFlag = (char?: 's') =>
  numberFlag({ what: `bytes from 0 to ${MOST_SNAPLEN}`, max: MOST_SNAPLEN })({
    ...(char !== undefined && { char }),
    helpValue: 'BYTES',
    default: 0,
    summary: 'Keep at most that much of each frame. 0 keeps all.',
  });

/** How much memory a capture has for what it could not write yet. */
export const captureBufferFlag = (char?: 'B') =>
  numberFlag({ what: 'MiB from 1 to 65536', min: 1, max: 65_536 })({
    ...(char !== undefined && { char }),
    helpValue: 'MIB',
    default: 64,
    summary: 'Memory for frames that are not written yet, in MiB.',
  });

/** How a run reports and how it waits: the same on every verb with an engine. */
export const runFlags = {
  json: Flags.boolean({
    summary: 'Print one JSON object at the end instead of text.',
    exclusive: ['ndjson'],
  }),
  ndjson: Flags.boolean({
    summary: 'Print one JSON object a line: one for each interval, then the one of --json.',
  }),
  busy: Flags.boolean({ summary: 'Poll without ever sleeping. Costs a whole core a thread.' }),
  spin: numberFlag({ what: 'microseconds from 0 to 1000000', max: 1e6 })({
    helpValue: 'US',
    summary:
      'Poll for US microseconds before going to sleep. Default: 50, or 0 on a machine with one CPU.',
  }),
};

/** How an interface is opened. */
export const wireFlags = {
  backend: Flags.option({ options: WIRE_BACKENDS })({
    helpValue: 'BACKEND',
    summary:
      'What moves the frames of a network interface: auto, the best there is; xdp, AF_XDP, or one mode of it: xdp-zerocopy, xdp-native, xdp-generic; packet, a packet socket; tap, a TAP device of that name. Default: auto.',
  }),
  shared: Flags.boolean({
    summary:
      "Leave a network interface to the host's network stack too, so that frames reach both, instead of taking it over.",
  }),
  force: Flags.boolean({
    summary:
      'Take over even a network interface that carries the default route or the login one sits at.',
  }),
};

/**
 * What excludes what, of those flags and the host's side.
 * @throws UsageError
 */
export function refuseContradiction(wire: {
  backend?: WireBackend | undefined;
  shared: boolean;
  host?: boolean;
}): void {
  const { backend = 'auto', shared, host = false } = wire;
  if (shared && backend.startsWith('xdp'))
    throw new UsageError(
      `--shared and --backend ${backend}: AF_XDP takes every frame and shares none; use --backend packet with --shared`,
    );
  if (shared && host)
    throw new UsageError(
      "--shared leaves an interface to the host, and -h has the host's traffic go through the switch: give one of the two",
    );
  if (host && backend === 'tap')
    throw new UsageError(
      "--backend tap has the host's stack at its other end already: use -a instead of -h",
    );
}

/** What those flags mean to whoever opens a port. */
export function wireOptions(flags: {
  backend?: WireBackend | undefined;
  shared: boolean;
  force: boolean;
  busy: boolean;
}): WireOptions {
  const { backend = 'auto', shared, force, busy } = flags;
  refuseContradiction(flags);
  return { backend, shared, force, busy };
}

export const verboseFlag = Flags.boolean({
  char: 'v',
  summary: 'Say more on standard error. May be repeated.',
});

/** µs to poll before sleeping when the user does not say. */
export function defaultSpin(usableCpus: number): number {
  return usableCpus > 1 ? 50 : 0;
}
