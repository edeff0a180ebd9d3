// Lists that come in pages of one, every second page empty with a cursor: what the contract allows, and no service does every day.

interface Lister {
  list?(query: { readonly cursor?: string; readonly limit: number }, call: never): Promise<{ readonly items: readonly unknown[]; readonly cursor?: string }>
}

const empty = 'empty:'

/** The same port with short pages in its lists. */
export const withShortPages = <P extends Lister>(port: P, short: boolean): P => {
  const list = port.list?.bind(port)
  if (!short || list === undefined) return port
  const shortList: NonNullable<Lister['list']> = async (query, call) => {
    const { cursor, ...rest } = query
    if (cursor?.startsWith(empty) !== true) return { items: [], cursor: `${empty}${cursor ?? ''}` }
    const from = cursor.slice(empty.length)
    return list({ ...rest, limit: 1, ...(from === '' ? {} : { cursor: from }) }, call)
  }
  return { ...port, list: shortList }
}
