// What the Node worker of Azure Functions gives an app under the name `@azure/functions-core`, as far as our functions use it: the programming model and the
// registered functions are kept for the worker's loop.
const kept = { functions: [], hooks: [] }
module.exports = {
  kept,
  version: '3.12.0',
  hostVersion: '4.1046.100',
  registerFunction: (metadata, callback) => {
    kept.functions.push({ metadata, callback })
    return { dispose: () => undefined }
  },
  registerHook: (name, callback) => {
    kept.hooks.push({ name, callback })
    return { dispose: () => undefined }
  },
  setProgrammingModel: (model) => (kept.model = model),
  getProgrammingModel: () => kept.model,
  log: () => undefined,
}
