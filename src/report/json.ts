// SPDX-License-Identifier: BSD-2-Clause
// JSON text without loss: 64-bit counters are printed as exact integers, which JSON.stringify
// cannot do (JSON.rawJSON needs Node 21).

function encode(value: unknown, key: string, indent: string, newline: string): string | undefined {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'object' && value !== null && 'toJSON' in value)
    value = (value as { toJSON(key: string): unknown }).toJSON(key);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);

  const deeper = newline && newline + indent;
  const list = (items: string[], open: string, close: string): string =>
    items.length === 0 ? open + close : open + deeper + items.join(`,${deeper}`) + newline + close;

  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const items = Array.from(value as ArrayLike<unknown>);
    return list(
      items.map((item, i) => encode(item, String(i), indent, deeper) ?? 'null'),
      '[',
      ']',
    );
  }
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    const text = encode(member, name, indent, deeper);
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${indent && ' '}${text}`);
  }
  return list(members, '{', '}');
}

/**
 * JSON.stringify's result, with bigints as integers and typed arrays as arrays.
 * @param indent spaces a level, 0 for one line (what NDJSON needs)
 */
export function toJson(value: unknown, indent = 0): string {
  return encode(value, '', ' '.repeat(indent), indent > 0 ? '\n' : '') ?? 'null';
}
