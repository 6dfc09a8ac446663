import { seededRandom } from '../../chaos/seeded-random.ts';

/** Chance that can be repeated: the same choices for the same seed. */
export type Chance = {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  oneOf<T>(list: readonly T[]): T;
  /** True in this share of cases. */
  happens(share: number): boolean;
  /** Random bytes. */
  bytes(length: number): Buffer;
};

export function chanceOf(seed: number): Chance {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  return {
    below,
    oneOf: (list) => {
      if (list.length === 0) throw new Error('there is nothing to choose from');
      return list[below(list.length)] as (typeof list)[number];
    },
    happens: (share) => random() < share,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
