import type { JsonSchema } from '../../../lib/docs/json-schema.ts';
import type { Fault, Spoil } from './draft.ts';
import { isWrong } from './is-wrong.ts';
import { SPOILED_BODIES } from './spoiled-bodies.ts';
import { SPOILED_SENDERS } from './spoiled-senders.ts';
import { SPOILED_WAYS } from './spoiled-ways.ts';
import { NAMES, TEXTS, wrongText } from './wrong-values.ts';

/** A field of the query or the path is wrong, is missing, or is one too many. */
function spoilTexts(part: 'query' | 'params'): Spoil {
  return (draft, target, chance) => {
    const fields = draft[part];
    const { properties = {} } = target[part]?.json ?? {};
    const known = Object.keys(properties);
    if (known.length === 0 || chance.happens(0.25)) {
      Object.defineProperty(fields, chance.oneOf(NAMES), {
        value: chance.oneOf(TEXTS),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    } else {
      const name = chance.oneOf(known);
      if (chance.happens(0.1)) delete fields[name];
      else fields[name] = wrongText((properties[name] ?? {}) as JsonSchema, fields[name] ?? '7', chance);
    }
    return isWrong(target[part], fields);
  };
}

/** What may be wrong with any request, by where it is wrong. */
export const FAULTS: readonly Fault[] = [
  ...SPOILED_BODIES,
  ...SPOILED_SENDERS,
  ...SPOILED_WAYS,
  {
    name: 'a query that the route does not take',
    weight: 4,
    codes: ['INPUT_INVALID'],
    fits: ({ contract: { data, query } }) => data !== undefined || query !== undefined,
    spoil: spoilTexts('query'),
  },
  {
    name: 'a query that others may append',
    weight: 1,
    fits: ({ contract: { data, query, method } }) => !data && !query && method === 'GET',
    spoil: (draft, _, chance) => {
      draft.query[chance.oneOf(NAMES)] = chance.oneOf(TEXTS);
      return true;
    },
  },
  {
    name: 'a path with something else in it',
    weight: 4,
    codes: ['INPUT_INVALID'],
    fits: ({ params }) => params !== undefined,
    spoil: spoilTexts('params'),
  },
];
