// Stops the whole run with one sentence where Node is too old to run our files as they are.

/** The sentence for a Node that is too old, or nothing. */
export const tooOld = (version: string): string | undefined =>
  Number(version.split('.')[0]) >= 24 ? undefined : `The tests need Node 24 or newer and this is Node ${version}: run them with \`npm test\`, which brings its own Node.`

/** Vitest calls this once, before any test file. */
export default (): void => {
  const sentence = tooOld(process.versions.node)
  if (sentence !== undefined) throw new Error(sentence)
}
