// SPDX-License-Identifier: Apache-2.0
// Runs the vault's exchange cases against the peer: the comparison is valid only if both behave alike.
import { exchangeCases } from '../tests/e2e/exchange-cases.mjs';
import { World } from '../tests/e2e/harness.mjs';
import { bundle } from './workers.mjs';

const peer = bundle('peer');

exchangeCases(() => World.start(peer));
