// SPDX-License-Identifier: Apache-2.0
// A comparison is worth something only with a Worker that does the same.
import { exchangeCases } from '../tests/e2e/exchange-cases.mjs';
import { World } from '../tests/e2e/harness.mjs';
import { bundle } from './workers.mjs';

const peer = bundle('peer');

exchangeCases(() => World.start(peer));
