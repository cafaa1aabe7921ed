// SPDX-License-Identifier: Apache-2.0
// The example of docs/operations.md: what a month of a vault costs, beyond what the plan includes.
import { OBJECT_SECONDS, PROVIDER_SECONDS, money } from './cost.mjs';
import { NEXT_LOG, OBJECT_MEMORY, PLAN, PRICES } from './prices.mjs';
import { table } from './text.mjs';

const ACCOUNTS = 10e3;
const EXCHANGES = 30e6;
const REFRESHES = 3e6;
const CONNECTS = 10e3;

/** How large a log line is, with what the platform adds, in GB. */
const LOG_LINE = 1e-6;

const plain = (number, digits = 0) => number.toLocaleString('en', { maximumFractionDigits: digits });
const million = (number) => `${plain(number / 1e6, 2)} million`;
const beyond = (number, { included }) => Math.max(0, number - included);
const billed = (number, price) => (beyond(number, price) / 1e6) * price.dollars;
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** What is used of each thing that is billed: `[price, amount, how it comes about]`. `cpu` is that of an exchange in ms. */
function used(counted, cpu) {
  const { exchange, 'exchange with a refresh': refresh, 'first connect of a user': connect } = counted;
  const warm = EXCHANGES - REFRESHES;
  const worker = EXCHANGES + CONNECTS * connect.worker;
  const objects = warm * exchange.objects + REFRESHES * refresh.objects + CONNECTS * connect.objects;
  const written = REFRESHES * refresh.written + CONNECTS * connect.written;
  const seconds = warm * OBJECT_SECONDS + REFRESHES * PROVIDER_SECONDS;
  const [warmly, afresh] = [warm, REFRESHES].map(million);
  const duration = `${warmly} × 1 ms + ${afresh} × ${PROVIDER_SECONDS} s = ${plain(seconds)} s, × ${OBJECT_MEMORY}`;
  return [
    ['worker', worker, million(worker)],
    ['objects', objects, `${warmly} × ${exchange.objects} + ${afresh} × ${refresh.objects} + ${million(CONNECTS * connect.objects)} = ${million(objects)}`],
    ['written', written, `${afresh} × ${refresh.written} + ${plain(CONNECTS)} × ${connect.written} = ${million(written)}`],
    ['duration', seconds * OBJECT_MEMORY, `${duration} = ${plain(seconds * OBJECT_MEMORY)} GB-s`],
    ['cpu', EXCHANGES * cpu, `${million(EXCHANGES)} × ${cpu} ms = ${million(EXCHANGES * cpu)} ms`],
  ].map(([name, amount, text]) => ({ price: PRICES[name], amount: Number(amount), text }));
}

function rest(amount, price) {
  const more = beyond(amount, price);
  return more ? `${million(more)} × ${money(price.dollars)}` : 'none';
}

/** The log lines, at the price of today and at the next one. */
function logs() {
  const gigabytes = EXCHANGES * LOG_LINE;
  const { from, ingestion } = NEXT_LOG;
  const more = beyond(gigabytes, ingestion);
  return {
    text: `${million(EXCHANGES)}; from ${from} about ${plain(gigabytes)} GB, at 1 KB each with what the platform adds`,
    rest: `${rest(EXCHANGES, PRICES.log)}; then ${more ? `${plain(more)} × ${money(ingestion.dollars)}` : 'none'}`,
    dollars: [billed(EXCHANGES, PRICES.log), more * ingestion.dollars],
  };
}

export function month(counted, cpu) {
  const parts = used(counted, cpu);
  const log = logs();
  const [today, next] = log.dollars.map((dollars) => PLAN + dollars + sum(parts.map(({ amount, price }) => billed(amount, price))));
  const names = { [PRICES.objects.what]: 'requests to objects', [PRICES.cpu.what]: 'CPU', [PRICES.duration.what]: 'duration' };
  return `**An example**: ${plain(ACCOUNTS)} accounts, ${million(EXCHANGES)} exchanges a month without leases, of which ${million(REFRESHES)} refresh, and
${plain(CONNECTS)} first connects.

${table([
    ['', 'amount', 'beyond what is included', 'US$'],
    ['plan', '', '', money(PLAN)],
    ...parts.map(({ amount, price, text }) => [names[price.what] ?? price.what, text, rest(amount, price), money(billed(amount, price))]),
    ['log lines', log.text, log.rest, log.dollars.map(money).join('; then ')],
    ['**sum**', '', '', `**${money(today)}; from ${NEXT_LOG.from} ${money(next)}**`],
  ])}`;
}
