// SPDX-License-Identifier: BSD-2-Clause
// What nobody should send, into an interface that is served by a packet socket.
import { describe } from 'vitest';

import { hostileFrames } from './support/hostile.js';
import { Lab, labAllowed, labTools } from './support/lab.js';
import { needs } from './support/need.js';

const allowed = labAllowed ? '' : ' (skipped: user namespaces are not permitted here)';

needs(...labTools('tcpreplay')).describe('hostile frames from a wire', () => {
  describe.skipIf(!labAllowed)(`in a network namespace${allowed}`, () => {
    hostileFrames('packet', () => Lab.open());
  });
});
