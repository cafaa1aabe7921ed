// SPDX-License-Identifier: Apache-2.0
import { exchangeCases } from './exchange-cases.mjs';
import { World } from './harness.mjs';

exchangeCases(() => World.start());
