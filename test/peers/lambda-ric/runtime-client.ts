// AWS's own Node runtime client of Lambda: installed and compiled once, from a lockfile of its own, into the cache folder. It needs autoconf, automake, libtool, cmake
// and a C++ compiler.
import { join } from 'node:path'
import { npmPackages } from '../python-peers.ts'

/** The path of its program, installed when it is not there. @throws when it cannot be compiled, or the registry cannot be reached */
export const runtimeClient = async (): Promise<string> => join(await npmPackages('lambda-ric', import.meta.dirname, { compiles: true }), 'node_modules/aws-lambda-ric/index.mjs')
