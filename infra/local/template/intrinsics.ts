import { AppError } from '../../../lib/app-error.ts';

/** Where the intrinsic functions of one template get their answers from. */
export type Scope = {
  ref(name: string): Promise<unknown>;
  getAtt(logicalId: string, attribute: string): Promise<unknown>;
  importValue(exportName: string): Promise<unknown>;
  /** `{{resolve:secretsmanager:…}}`: the value of a secret, or of one key of its JSON. */
  secretValue(secretId: string, jsonKey: string): Promise<string>;
  condition(name: string): unknown;
  mapping(map: string, top: string, second: string): unknown;
};

const SECRET_REFERENCE =
  /\{\{resolve:secretsmanager:((?:arn:[^:]+:secretsmanager:[^:]*:[^:]*:secret:)?[^:}]+):SecretString:([^:}]*)(?::[^}]*)?\}\}/g;

/**
 * Resolves the intrinsic functions in a template value. Members that become `AWS::NoValue` disappear.
 * A function or dynamic reference that is not known here fails with TEMPLATE_UNSUPPORTED.
 */
export async function resolve(scope: Scope, value: unknown): Promise<unknown> {
  if (typeof value === 'string') return resolveDynamicReferences(scope, value);
  if (Array.isArray(value)) {
    const items = await Promise.all(value.map((item) => resolve(scope, item)));
    return items.filter((item) => item !== undefined);
  }
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first) {
    const [name, argument] = first;
    if (name === 'Ref' || name.startsWith('Fn::')) return callIntrinsic(scope, name, argument);
  }
  const members = await Promise.all(
    entries.map(async ([key, member]) => [key, await resolve(scope, member)] as const),
  );
  return Object.fromEntries(members.filter(([, member]) => member !== undefined));
}

async function callIntrinsic(scope: Scope, name: string, argument: unknown): Promise<unknown> {
  const items = Array.isArray(argument) ? argument : [argument];
  const text = async (item: unknown) => String(await resolve(scope, item));
  const list = async (item: unknown) => {
    const resolved = await resolve(scope, item);
    if (!Array.isArray(resolved)) throw unsupported(`${name} needs a list`);
    return resolved;
  };
  switch (name) {
    case 'Ref':
      return scope.ref(String(argument));
    case 'Fn::GetAtt': {
      const [logicalId, attribute] = typeof argument === 'string' ? splitOnce(argument) : items;
      return scope.getAtt(String(logicalId), await text(attribute));
    }
    case 'Fn::Join':
      return resolveDynamicReferences(scope, (await list(items[1])).join(String(items[0])));
    case 'Fn::Sub':
      return substitute(scope, String(items[0]), (items[1] ?? {}) as Record<string, unknown>);
    case 'Fn::Select':
      return (await list(items[1]))[Number(await text(items[0]))];
    case 'Fn::Split':
      return (await text(items[1])).split(String(items[0]));
    case 'Fn::If':
      return resolve(scope, (await evaluate(scope, { Condition: items[0] })) ? items[1] : items[2]);
    case 'Fn::ImportValue':
      return scope.importValue(await text(argument));
    case 'Fn::FindInMap':
      return scope.mapping(await text(items[0]), await text(items[1]), await text(items[2]));
    default:
      throw unsupported(`the intrinsic function ${name} is not known to the local platform`);
  }
}

/** Evaluates a condition (`Fn::Equals` and the logic around it). */
export async function evaluate(scope: Scope, condition: unknown): Promise<boolean> {
  const [name, argument] = Object.entries(condition as Record<string, unknown>)[0] ?? [];
  const items = Array.isArray(argument) ? argument : [argument];
  const all = () => Promise.all(items.map((item) => evaluate(scope, item)));
  switch (name) {
    case 'Condition':
      return evaluate(scope, scope.condition(String(argument)));
    case 'Fn::Equals':
      return (await resolve(scope, items[0])) === (await resolve(scope, items[1]));
    case 'Fn::Not':
      return !(await all())[0];
    case 'Fn::And':
      return (await all()).every(Boolean);
    case 'Fn::Or':
      return (await all()).some(Boolean);
    default:
      throw unsupported(`the condition function ${name} is not known to the local platform`);
  }
}

async function substitute(scope: Scope, text: string, variables: Record<string, unknown>): Promise<string> {
  const parts = text.split(/(\$\{[^}]+\})/);
  const resolved = await Promise.all(
    parts.map(async (part) => {
      const name = /^\$\{(.+)\}$/.exec(part)?.[1]?.trim();
      if (name === undefined) return part;
      if (name.startsWith('!')) return `\${${name.slice(1)}}`;
      if (name in variables) return String(await resolve(scope, variables[name]));
      if (!name.includes('.')) return String(await scope.ref(name));
      const [logicalId = '', attribute = ''] = splitOnce(name);
      return String(await scope.getAtt(logicalId, attribute));
    }),
  );
  return resolveDynamicReferences(scope, resolved.join(''));
}

async function resolveDynamicReferences(scope: Scope, text: string): Promise<string> {
  if (!text.includes('{{resolve:')) return text;
  let resolved = text;
  for (const [reference, secretId = '', jsonKey = ''] of text.matchAll(SECRET_REFERENCE)) {
    const value = await scope.secretValue(secretId, jsonKey);
    resolved = resolved.replace(reference, () => value);
  }
  const left = /\{\{resolve:[^}]*\}\}/.exec(resolved)?.[0];
  if (left) throw unsupported(`the dynamic reference ${left} is not known to the local platform`);
  return resolved;
}

function splitOnce(text: string): string[] {
  const dot = text.indexOf('.');
  return dot < 0 ? [text] : [text.slice(0, dot), text.slice(dot + 1)];
}

function unsupported(message: string): AppError {
  return new AppError('TEMPLATE_UNSUPPORTED', message);
}
