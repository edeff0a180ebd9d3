// Settings that no log and no message can print.

/** The same settings, which print as `[settings]`: a provider's credentials may stand among them in plain text until its table has read them. */
export const unprintable = (settings: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const copy = { ...settings }
  for (const way of ['toJSON', Symbol.for('nodejs.util.inspect.custom')]) Object.defineProperty(copy, way, { value: () => '[settings]', enumerable: false })
  return copy
}
