// SPDX-License-Identifier: BSD-2-Clause
// What Wireshark asks of an extcap program, and how it comes to ask.
import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';

import { ValeError } from '../errors.js';
import { homeFolder, makeFolders } from '../folders.js';
import { native, packageRoot } from '../native.js';
import { quoted } from '../shell.js';
import { errorText } from '../errno.js';
import { openRuntime } from './open.js';

/** One entry of Wireshark's list. */
export interface ExtcapInterface {
  /** What `vale capture -i` takes. */
  value: string;
  display: string;
}

/** Live ports, and for one that is open what watches it, as they are now. */
export function extcapInterfaces(): ExtcapInterface[] {
  const runtime = openRuntime(native(), () => {});
  const ports = runtime
    .list()
    .filter(({ kind, attached }) => attached && (kind === 'port' || kind === 'pipe'));
  runtime.close();
  return ports.flatMap(({ name, registrations }) => [
    { value: name, display: `VALE port ${name}` },
    ...(registrations !== 0
      ? [{ value: `${name}/rt`, display: `VALE port ${name}, sent and received` }]
      : []),
  ]);
}

/**
 * Its personal folders for extcap programs: beside its settings up to version 4.0, among the user's
 * libraries since; $WIRESHARK_EXTCAP_DIR alone where that is set.
 */
export function extcapFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  const own = env['WIRESHARK_EXTCAP_DIR'];
  if (own) return [own];
  const home = homeFolder(env['HOME'] ?? '');
  const config = env['XDG_CONFIG_HOME'] || join(home, '.config');
  const settings = env['WIRESHARK_CONFIG_DIR'] || join(config, 'wireshark');
  return [join(settings, 'extcap'), join(home, '.local', 'lib', 'wireshark', 'extcap')];
}

const NAME = 'vale';
const MARK = '# Written by vale extcap install.';

/** The program that Wireshark starts: this command, by this Node, on the runtime directory in use. */
export function launcher(env: NodeJS.ProcessEnv = process.env): string {
  const bin = join(packageRoot(), 'bin', 'vale.js');
  const directory = env['VALE_DIR'] && resolve(env['VALE_DIR']);
  return [
    '#!/bin/sh',
    MARK,
    ...(directory
      ? [`: "\${VALE_DIR:=${directory.replaceAll(/(["$`\\])/g, '\\$1')}}"`, 'export VALE_DIR']
      : []),
    `exec ${quoted(process.execPath)} ${quoted(bin)} extcap "$@"`,
    '',
  ].join('\n');
}

function fileSays(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  return statSync(file).isFile() ? readFileSync(file, 'utf8') : '';
}

function refuse(file: string): never {
  throw new ValeError(
    `${file} was not written by vale: move it away, so that nothing of yours is lost`,
  );
}

/** A line for each folder, of what was done there. */
function inEach(done: (folder: string, file: string) => string): string[] {
  return extcapFolders().map((folder) => {
    try {
      return done(folder, join(folder, NAME));
    } catch (error) {
      const why = errorText((error as NodeJS.ErrnoException).code);
      if (why === undefined) throw error;
      throw new ValeError(
        `${folder}: ${why}; set WIRESHARK_EXTCAP_DIR, here and for Wireshark, to a folder of yours`,
      );
    }
  });
}

/** Puts the launcher into the folders; a line for each, of what was done. */
export function installExtcap(): string[] {
  const text = launcher();
  return inEach((folder, file) => {
    const before = fileSays(file);
    if (before === text) return `${file}: is there already`;
    if (before !== undefined && !before.includes(MARK)) refuse(file);
    makeFolders(folder);
    writeFileSync(file, text);
    chmodSync(file, 0o755);
    return `${file}: ${before === undefined ? 'installed' : 'renewed'}`;
  });
}

/** Takes it away again, and folders that are empty then. */
export function uninstallExtcap(): string[] {
  return inEach((folder, file) => {
    const before = fileSays(file);
    if (before === undefined) return `${file}: is not there`;
    if (!before.includes(MARK)) refuse(file);
    rmSync(file);
    if (readdirSync(folder).length === 0) rmdirSync(folder);
    return `${file}: removed`;
  });
}
