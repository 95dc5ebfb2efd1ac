/* Remember how many answers named each member first, and tell the shares of the last minutes.

   The API counts since its start; what was in the last minutes is known from when this page
   began to look. */

const WINDOW = 300_000; // milliseconds
const STEP = 5000;

export class Shares {
  #samples = new Map(); // pool name -> samples, oldest first

  /** Take in the counts of a view. */
  note({ pools, at }) {
    for (const pool of pools) this.#notePool(pool, at);
  }

  /** Return since when, how many answers, and each member's part of them. */
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
    // A count that went back tells of a restart; what was before it cannot be compared.
    if (last && pool.members.some(({ name, answers }) => answers < (last.counts.get(name) ?? 0))) samples = [];
    // The newest sample moves along until it is a step away from the one before.
    if (samples.length > 1 && at - samples.at(-2).at < STEP) samples.pop();
    samples.push({ at, counts });
    while (samples.length > 2 && at - samples[1].at >= WINDOW) samples.shift();
    this.#samples.set(pool.name, samples);
  }
}
