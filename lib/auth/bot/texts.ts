import type { Html } from '../../docs/html.ts';
import type { Language } from '../language.ts';
import type { Facts, Leaving } from './outbox.ts';
import { EN } from './texts/en.ts';
import { ES } from './texts/es.ts';

/** What the bot understands, and what it says about it in its menu and in /help. */
export type Command = 'start' | 'identity' | 'status' | 'retry' | 'login' | 'help';
/** The steps of provisioning, by what is done already. */
type Step = Facts['provisioning_step'];

/** What stopped provisioning. */
type Why = NonNullable<Facts['error']>;

/** What is told of leaving; `by` says who asked for it, and how it is taken back. */
type LeavingFacts = { endpoint: string; at: string; by: string; why: string | null };

export type Texts = {
  commands: Readonly<Record<Command, string>>;
  help: string;
  stranger: string;
  welcome: string;
  link: string;
  linkButton: string;
  handle: string;
  unnamed: string;
  state: Readonly<Record<Exclude<Facts['status'], 'pending' | 'error'>, string>>;
  pending: (step: number, of: number, done: string) => string;
  failed: (why: Why) => Html;
  steps: Readonly<Record<Step, string>>;
  checked: Readonly<Record<Facts['verification_status'], string>>;
  ready: string;
  moved: string;
  moveFailed: (why: Why) => Html;
  moveNotTakenBack: (why: Why) => Html;
  renamed: string;
  cameBack: string;
  changeFailed: (why: Why) => Html;
  retried: string;
  nothingToRetry: string;
  tooOften: (minutes: number) => string;
  unnamedIdentity: string;
  deletion: (handle: string, time: string) => Html;
  join_asked: JoinText;
  join_due: JoinText;
  join_off: JoinText;
  joined: JoinText;
  parted: JoinText;
  /** `at`: when it comes into force; empty: now. */
  recoveryKey: (at: string) => string;
  byKey: string;
  bySession: string;
  leaving: Readonly<Record<Leaving['event'], (facts: LeavingFacts) => Html>>;
  left: (endpoint: string) => string;
  export: {
    ready: (megabytes: number, until: string) => string;
    withoutRepository: string;
    failed: (why: Why) => Html;
    expired: string;
  };
};

/** About an identity that goes to another Telegram account: its handle, when, and the number of the join. */
type JoinText = (handle: string, time: string, id: number) => Html;

export const TEXTS: Readonly<Record<Language, Texts>> = { en: EN, es: ES };
