// SPDX-License-Identifier: BSD-2-Clause
// The part of JSON Schema that our own schemas use.

interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  items?: Schema;
  pattern?: string;
  minimum?: number;
  $defs?: Record<string, Schema>;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function resolve(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.replace('#/$defs/', '');
  if (name === undefined) return schema;
  const target = root.$defs?.[name];
  if (target === undefined) throw new Error(`the schema has no ${name}`);
  return target;
}

/** What is wrong with a value, one line each; empty when it is as the schema's `name` says. */
export function violations(value: unknown, root: Schema, name: string): string[] {
  const check = (part: unknown, given: Schema, path: string): string[] => {
    const schema = resolve(given, root);
    const type = typeOf(part);
    const types = schema.type === undefined ? [type] : [schema.type].flat();
    const fits = types.includes(type) || (type === 'integer' && types.includes('number'));
    if (!fits) return [`${path}: ${type}, not ${types.join(' or ')}`];
    if (typeof part === 'string' && schema.pattern && !new RegExp(schema.pattern).test(part))
      return [`${path}: ${part} does not match ${schema.pattern}`];
    if (typeof part === 'number' && schema.minimum !== undefined && part < schema.minimum)
      return [`${path}: ${part} is below ${schema.minimum}`];
    if (Array.isArray(part))
      return part.flatMap((item, i) => check(item, schema.items ?? {}, `${path}[${i}]`));
    if (type !== 'object') return [];
    const { properties = {}, required = [], additionalProperties } = schema;
    const members = Object.entries(part as object);
    return [
      ...required
        .filter((key) => !Object.hasOwn(part as object, key))
        .map((key) => `${path}.${key}: missing`),
      ...members.flatMap(([key, member]) => {
        const known = properties[key];
        if (known) return check(member, known, `${path}.${key}`);
        return additionalProperties === false ? [`${path}.${key}: not in the schema`] : [];
      }),
    ];
  };
  return check(value, { $ref: `#/$defs/${name}` }, name);
}
