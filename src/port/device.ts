// SPDX-License-Identifier: BSD-2-Clause
// Which device ports are opened on: switches in shared memory, or the kernel's netmap.
import { nearest, UsageError } from '../errors.js';
import type { NativeBinding, NativeRuntime } from '../native-types.js';

export const DEVICES = ['auto', 'user', 'kernel'] as const;
export type DeviceWish = (typeof DEVICES)[number];

/**
 * What $VALE_DEVICE asks for; without it "auto". "auto" is "user" where a runtime directory was named, and
 * where /dev/netmap would be this project's own (`vale run` does both).
 * @throws UsageError for any other word
 */
export function deviceWish(env: NodeJS.ProcessEnv = process.env): DeviceWish {
  const word = env['VALE_DEVICE'] || 'auto';
  const wish = DEVICES.find((device) => device === word);
  if (wish === undefined) {
    const near = nearest(word, DEVICES);
    throw new UsageError(
      `expected auto, user or kernel for VALE_DEVICE but received ${word}${near ? `: did you mean ${near}?` : ''}`,
    );
  }
  const own = /(^|[/: ])libvale-preload\.so/.test(env['LD_PRELOAD'] ?? '');
  return wish === 'auto' && (own || env['VALE_DIR']) ? 'user' : wish;
}

/**
 * The device that $VALE_DEVICE asks for; "auto" is the kernel's if that opens.
 * @throws UsageError as {@link deviceWish}; what opening the device failed with
 */
export function openDevice(binding: NativeBinding): NativeRuntime {
  const wish = deviceWish();
  if (wish === 'kernel') return binding.openKernel();
  if (wish === 'auto') {
    try {
      return binding.openKernel();
    } catch {
      // It is not there, or not for this user.
    }
  }
  return binding.openRuntime();
}
