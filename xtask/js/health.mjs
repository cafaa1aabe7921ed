// SPDX-License-Identifier: Apache-2.0
// Asks an address once, and prints the response as HTTP/1.1 has it. `cargo xtask dev` asks the Worker so if it
// uses https.
//
//   node xtask/js/health.mjs <url>
const response = await fetch(process.argv[2], { redirect: 'manual', signal: AbortSignal.timeout(5000) });
process.stdout.write(`HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n${await response.text()}`);
