// The one question that is asked of everything that comes from outside.

/** Whether it is an object with keys, no list. */
export const isMapping = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object' && !Array.isArray(value)
