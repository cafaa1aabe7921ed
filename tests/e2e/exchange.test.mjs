import { exchangeCases } from './exchange-cases.mjs';
import { World } from './harness.mjs';

exchangeCases(() => World.start());
