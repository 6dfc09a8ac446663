import { type Html, html, prose } from './html.ts';
import { isSchema, type JsonSchema } from './json-schema.ts';

/** A row for each field of a schema: its name with the objects that hold it, its type, and what it means. */
export function fieldRows(schema: JsonSchema, prefix = ''): Html[][] {
  const { properties = {}, required = [], items, anyOf = [] } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, inner]) => {
      const field = inner as JsonSchema;
      const type = required.includes(name) ? typeName(field) : `${typeName(field)}, optional`;
      return [
        [html`<code>${prefix}${name}</code>`, html`${type}`, html`${prose(field.description)}`],
        ...fieldRows(field, `${prefix}${name}.`),
      ];
    }),
    ...(isSchema(items) ? fieldRows(items, prefix) : []),
    ...anyOf.flatMap((inner) => fieldRows(inner as JsonSchema, prefix)),
  ];
}

function typeName({ type, format, enum: values, const: only, anyOf }: JsonSchema): string {
  if (values) return values.join(' | ');
  if (only !== undefined) return String(only);
  if (anyOf) return anyOf.map((inner) => typeName(inner as JsonSchema)).join(' | ');
  const names = [type ?? 'any'].flat().map((name) => (name === 'string' ? (format ?? name) : name));
  return names.join(' | ');
}
