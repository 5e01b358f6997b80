// SPDX-License-Identifier: BSD-2-Clause
// The process behind ChildDriver: does as it is told until it is killed.
import { createRequire } from 'node:module';

import type { NativeBinding } from '../../src/native-types.js';
import { LocalDriver, type Driver } from './driver.js';

const [, , addon = '', directory = ''] = process.argv;
const driver: Driver = new LocalDriver(createRequire(addon)(addon) as NativeBinding, directory);

process.on('message', ([name, ...args]: [keyof Driver, ...never[]]) => {
  const call = driver[name] as (...args: never[]) => Promise<unknown>;
  call.apply(driver, args).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.message }),
  );
});
