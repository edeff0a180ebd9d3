// Loaded before anything else, in plain JavaScript, so that an old Node explains itself instead of failing on TypeScript syntax.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `Latchkey needs Node 24 or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      'Run it through npm (npm start, npm test): npm ci brings Node 24 with it, unless optional packages were left out.\n' +
      'On a Mac, or after npm ci --omit=optional, install Node 24 yourself.\n',
  )
  process.exit(78)
}
