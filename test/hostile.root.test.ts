// SPDX-License-Identifier: BSD-2-Clause
// What nobody should send, into interfaces that are served by AF_XDP.
import { describe } from 'vitest';

import { hostileFrames } from './support/hostile.js';
import { Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';

needs('root', ...labTools('tcpreplay')).describe('hostile frames from a wire', () => {
  describe.each(['xdp-native', 'xdp-generic'])('by %s', (backend) => {
    hostileFrames(backend, () => Lab.openAsRoot());
  });
});
