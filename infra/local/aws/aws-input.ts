import { AwsError, type AwsInput } from './aws-json.ts';

/** Readers for single fields of a request. Each fails with ValidationException, naming the field. */

function invalid(field: string, constraint: string): AwsError {
  return new AwsError(
    'ValidationException',
    `1 validation error detected: Value at '${field}' failed to satisfy constraint: ${constraint}`,
  );
}

export function optionalText(input: AwsInput, field: string): string | undefined {
  const value = input[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(field, 'Member must be a string');
  return value;
}

export function text(input: AwsInput, field: string): string {
  const value = optionalText(input, field);
  if (!value) throw invalid(field, 'Member must not be null');
  return value;
}

/** A blob, which travels as base64; length in bytes, both ends included. */
export function blob(input: AwsInput, field: string, length: { min: number; max: number }): Buffer {
  const bytes = Buffer.from(text(input, field), 'base64');
  if (bytes.length < length.min || bytes.length > length.max) {
    throw invalid(field, `Member must have length between ${length.min} and ${length.max}`);
  }
  return bytes;
}

export function optionalInteger(
  input: AwsInput,
  field: string,
  range: { min: number; max: number },
): number | undefined {
  const value = input[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < range.min || value > range.max) {
    throw invalid(field, `Member must be an integer between ${range.min} and ${range.max}`);
  }
  return value;
}

/** A map from strings to strings, e.g. an encryption context; empty when it is left out. */
export function textMap(input: AwsInput, field: string): Record<string, string> {
  const value = input[field] ?? {};
  const valid =
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.values(value).every((item) => typeof item === 'string');
  if (!valid) throw invalid(field, 'Member must be a map of strings');
  return value as Record<string, string>;
}

export function optionalTextList(input: AwsInput, field: string): string[] | undefined {
  const value = input[field];
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw invalid(field, 'Member must be a list of strings');
  }
  return value;
}
