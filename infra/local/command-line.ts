import { type ParseArgsConfig, parseArgs } from 'node:util';
import { AppError } from '../../lib/app-error.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

const ELSEWHERE = 'choose another folder with --data FOLDER';
/** What whoever runs a command can mend himself, by the code of Node's error. */
const FILE_TROUBLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file: see whether its name is right',
  EACCES: `this user may not use it: run as its owner, or ${ELSEWHERE}`,
  EPERM: `this user may not change it: run as its owner, or ${ELSEWHERE}`,
  EROFS: `it cannot be written to: ${ELSEWHERE}`,
  ENOSPC: `no space is left on the disk: make room, or ${ELSEWHERE}`,
};

/** The options of every command. */
export const COMMON_OPTIONS = {
  data: { type: 'string', default: '.data' },
  help: { type: 'boolean', default: false },
} as const;

/**
 * Reads the command line of an npm script: its options, one word for each of `operands`, and at most one for each of
 * `optional`. Anything else ends the process with one sentence, the usage and exit code 2; `--help` prints the usage.
 */
export function readCommandLine<const O extends Options>(
  usage: string,
  {
    options,
    operands = [],
    optional = [],
  }: {
    options: O;
    operands?: readonly string[];
    optional?: readonly string[];
  },
) {
  const { values, positionals } = parse(usage, options);
  if ('help' in values && values.help) {
    console.log(usage);
    process.exit(0);
  }
  const [missing] = operands.slice(positionals.length);
  if (missing) refuse(usage, `${missing} is missing.`);
  const empty = positionals.indexOf('');
  if (empty >= 0) refuse(usage, `${[...operands, ...optional][empty]} is empty.`);
  const [surplus] = positionals.slice(operands.length + optional.length);
  if (surplus) refuse(usage, `Unexpected argument '${surplus}'.`);
  return { ...values, operands: positionals };
}

function parse<const O extends Options>(usage: string, options: O) {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    // What follows the first sentence is advice for other programs.
    const [problem = ''] = String(error instanceof Error ? error.message : error).split('. ', 1);
    return refuse(usage, problem);
  }
}

/** Ends the process because of how it was called. */
export function refuse(usage: string, problem: string): never {
  console.error(`${problem}\n\n${usage}`);
  process.exit(2);
}

/** Ends the process because of what it met. */
export function fail(error: unknown, exitCode = 1): never {
  console.error(explain(error));
  process.exit(exitCode);
}

/** An error for the terminal: one sentence where somebody can do something about it, else the stack. */
export function explain(error: unknown): string {
  if (error instanceof AppError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const { code = '', path } = error as NodeJS.ErrnoException;
  const trouble = FILE_TROUBLE[code];
  return trouble ? `${path ?? 'A file'}: ${trouble}.` : String(error.stack);
}
