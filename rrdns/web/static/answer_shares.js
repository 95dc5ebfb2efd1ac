/* Count how often each member was first in the answers of the last minutes.

   The API counts since its start. The counts of the last minutes are known only since this page
   was opened. */

const WINDOW = 300_000; // milliseconds
const STEP = 5000;

export class Shares {
  #samples = new Map(); // pool name -> samples, oldest first

  /** Store the counts of a view. */
  note({ pools, at }) {
    for (const pool of pools) this.#notePool(pool, at);
  }

  /** Return the number of answers, their period in seconds, and each member's share. */
  of(pool) {
    const samples = this.#samples.get(pool.name) ?? [];
    const first = samples[0];
    if (!first) return { seconds: 0, total: 0, share: () => null };
    const counts = new Map(pool.members.map((member) => [member.name, member.answers - (first.counts.get(member.name) ?? member.answers)]));
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    return {
      seconds: (samples.at(-1).at - first.at) / 1000,
      total,
      share: (name) => (total > 0 ? counts.get(name) / total : null),
    };
  }

  #notePool(pool, at) {
    const counts = new Map(pool.members.map((member) => [member.name, member.answers]));
    let samples = this.#samples.get(pool.name) ?? [];
    const last = samples.at(-1);
    // A count that decreased means a restart; older counts cannot be compared.
    if (last && pool.members.some(({ name, answers }) => answers < (last.counts.get(name) ?? 0))) samples = [];
    // The newest sample is replaced until it is a step later than the one before.
    if (samples.length > 1 && at - samples.at(-2).at < STEP) samples.pop();
    samples.push({ at, counts });
    while (samples.length > 2 && at - samples[1].at >= WINDOW) samples.shift();
    this.#samples.set(pool.name, samples);
  }
}
