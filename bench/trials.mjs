// SPDX-License-Identifier: BSD-2-Clause
// Every trial, as data, by the files of bench/trials/. A row of the table is one of:
//   figure alone          {tool, args}: windows of one measuring program
//   figure against limit  ... and `limit`: windows of both in alternation, compared pair by pair
//   figure with a floor   ... and `floor`: {name, field}: the program measured both in turns itself
//   kind: 'startup'       two commands in alternation, wall time
//   kind: 'instructions'  one measuring program, two builds, under callgrind
//   kind: 'agents'        processes of attached interfaces; made in agents.mjs
//   kind: 'peer'          another program does what ours does; made from bench/peers/ (peers.mjs)
// `field` is the figure's name in the program's JSON, default framesPerSecond; times `scale`, where the
// program's unit is not SI's. `windows` is how many, default --pairs; `seconds` how long each is.
// `curve` says of which curve of the chart it is a point. `bar` is what --check holds the row to:
// {of: 'ratio'|'value'|'ofLine', min|max}, in SI base units. `quick: false` keeps a row out of --quick;
// `privileged: true` is skipped by name without the privilege.

import { costTrials } from './trials/costs.mjs';
import { latencyTrials } from './trials/latency.mjs';
import { limitTrials } from './trials/limits.mjs';
import { oneCoreTrials } from './trials/one-core.mjs';
import { programTrials } from './trials/programs.mjs';
import { twoCoreTrials } from './trials/two-cores.mjs';

export const trials = [
  ...limitTrials,
  ...twoCoreTrials,
  ...oneCoreTrials,
  ...latencyTrials,
  ...programTrials,
  ...costTrials,
];
