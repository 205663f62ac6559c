// JSON objects whose keys may be written in any case, as Go's decoder takes them (contract stage1 5.3). Pure.

export type JsonObject = Readonly<Record<string, unknown>>;

/** The value of `key`: as it is spelled, else in another case, the last one of these; undefined when there is none. */
export function fieldOf(object: JsonObject, key: string): unknown {
  if (Object.hasOwn(object, key)) return object[key];
  const wanted = key.toLowerCase();
  return Object.entries(object).findLast(([name]) => name.toLowerCase() === wanted)?.[1];
}

/** {@link fieldOf} for a text; empty when it is absent or no text. */
export function textField(object: JsonObject, key: string): string {
  const value = fieldOf(object, key);
  return typeof value === 'string' ? value : '';
}

/** {@link fieldOf} for a list of texts; what is no text is left out. */
export function textsField(object: JsonObject, key: string): string[] {
  return listField(object, key).filter((item) => typeof item === 'string');
}

/** {@link fieldOf} for a list; empty when it is absent or no list. */
export function listField(object: JsonObject, key: string): readonly unknown[] {
  const value = fieldOf(object, key);
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** {@link fieldOf} for an object; undefined when it is absent or none. */
export function objectField(object: JsonObject, key: string): JsonObject | undefined {
  const value = fieldOf(object, key);
  return isObject(value) ? value : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
