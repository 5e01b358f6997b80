// SPDX-License-Identifier: BSD-2-Clause
// What nobody should send, into an interface that is served by a packet socket.
import { hostileFrames } from './support/hostile.js';
import { Lab, labTools } from './support/lab.js';
import { needs } from './support/need.js';

needs(...labTools('tcpreplay')).describe('hostile frames from a wire', () => {
  needs('user namespaces').describe('in a network namespace', () => {
    hostileFrames('packet', () => Lab.open());
  });
});
