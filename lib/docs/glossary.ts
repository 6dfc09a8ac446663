import { AUDIT } from './glossary/audit.ts';
import { CHANGES } from './glossary/changes.ts';
import { CUSTODY } from './glossary/custody.ts';
import { EXPORTS } from './glossary/exports.ts';
import { GIVEN_UP } from './glossary/given-up.ts';
import { IDENTITIES } from './glossary/identities.ts';
import { JOINS } from './glossary/joins.ts';
import { LEAVING } from './glossary/leaving.ts';
import { LISTS } from './glossary/lists.ts';
import { LOGINS } from './glossary/logins.ts';
import { SECOND_FACTOR } from './glossary/second-factor.ts';
import type { Word } from './glossary/word.ts';

/**
 * The names of fields, in requests and answers. What is special to a field of one object stands under `object.field`,
 * to one of a route's topmost object under `operationId.field`. A test fails for a field that is missing here, for a word
 * that no route uses, and for one that stands in two rooms.
 */
const ROOMS = [
  LOGINS,
  SECOND_FACTOR,
  IDENTITIES,
  GIVEN_UP,
  CUSTODY,
  LEAVING,
  EXPORTS,
  CHANGES,
  JOINS,
  LISTS,
  AUDIT,
];
const GLOSSARY = new Map(ROOMS.flatMap((room) => Object.entries(room)));

/** The word for a field of `parent`: the object that holds it, or the operation. */
export function wordFor(parent: string, name: string): Word | undefined {
  return GLOSSARY.get(`${parent}.${name}`) ?? GLOSSARY.get(name);
}

/** Every name that is explained. */
export const GLOSSARY_NAMES: readonly string[] = ROOMS.flatMap((room) => Object.keys(room));
