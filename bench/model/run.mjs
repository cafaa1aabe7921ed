// SPDX-License-Identifier: Apache-2.0
// Computes the latency on the edge and the costs, and writes them into docs/performance.md, docs/operations.md and
// docs/latency.svg: node bench/model/run.mjs
import { writeDocuments } from './documents.mjs';

writeDocuments();
