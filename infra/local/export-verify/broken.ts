/** Thrown for an archive that does not hold: which file of it, and what is wrong with that. */
export class Broken extends Error {
  readonly entry: string;
  readonly fault: string;
  constructor(entry: string, fault: string) {
    super(`${entry}: ${fault}`);
    this.entry = entry;
    this.fault = fault;
  }
}

/** Throws Broken unless it holds. */
export function expectThat(holds: boolean, entry: string, fault: string): asserts holds {
  if (!holds) throw new Broken(entry, fault);
}
