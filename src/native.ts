// SPDX-License-Identifier: BSD-2-Clause
// Finds and loads the addon, once and only when it is needed; explains a failure in one line.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ValeError } from './errors.js';
import type { NativeBinding } from './native-types.js';

/** The directory of this package's package.json, from the sources as well as from dist. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory)
      throw new ValeError('vale-switch is damaged: its package.json is missing, install it again');
    directory = parent;
  }
  return directory;
}

/**
 * Where a native file of ours may be, best first. What was built on this machine wins over what was shipped:
 * it is there only because somebody built it here, and in a checkout it is the newer one.
 */
export function candidates(
  root: string,
  platform: string,
  arch: string,
  file = 'vale.node',
): string[] {
  return [
    join(root, 'build', 'native', file),
    join(root, 'prebuilds', `${platform}-${arch}`, file),
  ];
}

/** The program that serves an attached network interface; beside the addon. */
export function agentPath(): string {
  const places = candidates(packageRoot(), process.platform, process.arch, 'vale-agent');
  return places.find((path) => existsSync(path)) ?? places.at(-1)!;
}

/** The command that builds the addon: npm's in a checkout, make in an installed package. */
function buildCommand(root: string): string {
  if (existsSync(join(root, 'scripts', 'build.mjs'))) return `npm --prefix ${root} run build`;
  return `${process.platform === 'freebsd' ? 'gmake' : 'make'} -C ${join(root, 'native')}`;
}

/** The one line for a platform without a binary: packages to install, and the build command. */
export function missingAddon(root: string, platform: string, arch: string): string {
  const packages =
    platform === 'freebsd' ? 'pkg install gmake; clang is in base' : 'apt-get install g++ make';
  return (
    `no native addon for ${platform}-${arch} in ${root}: install a C++20 compiler and make ` +
    `(${packages}), then run: ${buildCommand(root)}`
  );
}

/** The library that answers /dev/netmap in other programs; throws when it is not there. */
export function preloadLibrary(): string {
  const root = packageRoot();
  const { platform, arch } = process;
  const found = candidates(root, platform, arch, 'libvale-preload.so').find((path) =>
    existsSync(path),
  );
  if (found !== undefined) return found;
  throw new ValeError(
    `no libvale-preload.so for ${platform}-${arch} in ${root}: build it with: ` +
      (existsSync(join(root, 'scripts', 'build.mjs'))
        ? buildCommand(root)
        : `${buildCommand(root)} preload`),
  );
}

let binding: NativeBinding | undefined;

/** The file that native() loads; undefined when there is none. */
export function addonFile(): string | undefined {
  return candidates(packageRoot(), process.platform, process.arch).find((path) => existsSync(path));
}

/** The addon. Loaded at the first call; throws a ValeError with the way out when it cannot be. */
export function native(): NativeBinding {
  if (binding) return binding;
  const root = packageRoot();
  const file = addonFile();
  if (!file) throw new ValeError(missingAddon(root, process.platform, process.arch));
  try {
    binding = createRequire(import.meta.url)(file) as NativeBinding;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_DISABLED')
      throw new ValeError(
        'cannot load the native addon, which node was told not to do: run it without --no-addons, in $NODE_OPTIONS too',
      );
    const reason = (error as Error).message.split('\n')[0];
    throw new ValeError(
      `cannot load the native addon (${reason}): rebuild it with: ${buildCommand(root)}`,
    );
  }
  return binding;
}
