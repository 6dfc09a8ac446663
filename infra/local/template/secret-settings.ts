import type { Stack } from './assembly.ts';

const SECRET_ARN = /^(.+)_SECRET_ARN$/;

/**
 * Which setting is read from which secret: a function that gets `TELEGRAM_BOT_TOKEN_SECRET_ARN` says that the secret
 * behind it holds the bot token. Keys are `<stack>/<logical id>`.
 */
export function settingsOfSecrets(stacks: readonly Stack[]): Map<string, string> {
  const exported = new Map<string, string>();
  for (const stack of stacks) {
    for (const { Value, Export } of Object.values(stack.template.Outputs ?? {})) {
      const place = Export && placeOf(stack, Value, exported);
      if (place) exported.set(String(Export.Name), place);
    }
  }
  const settings = new Map<string, string>();
  for (const stack of stacks) {
    for (const { Type, Properties } of Object.values(stack.template.Resources)) {
      if (Type !== 'AWS::Lambda::Function') continue;
      const variables = (Properties?.Environment as { Variables?: object } | undefined)?.Variables ?? {};
      for (const [name, value] of Object.entries(variables)) {
        const setting = SECRET_ARN.exec(name)?.[1];
        const place = setting && placeOf(stack, value, exported);
        if (place) settings.set(place, setting);
      }
    }
  }
  return settings;
}

function placeOf(stack: Stack, value: unknown, exported: ReadonlyMap<string, string>): string | undefined {
  const { Ref, 'Fn::ImportValue': imported } = (value ?? {}) as { Ref?: string; 'Fn::ImportValue'?: unknown };
  return Ref ? `${stack.name}/${Ref}` : exported.get(String(imported));
}
