// CRC32C (Castagnoli), the checksum that Google's services send and want. By a table of our own: Node has only the other CRC-32, and a library
// for twenty lines would be one more thing to trust with plaintext.

/** The reversed polynomial of Castagnoli. */
const polynomial = 0x82f63b78

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ polynomial : rest >>> 1
  return rest
})

/** The checksum of some bytes, as an unsigned number. Google's JSON carries it as a decimal string, its messages as an int64. */
export const crc32c = (bytes: Uint8Array): number => {
  let rest = 0xffffffff
  for (const byte of bytes) rest = (table[(rest ^ byte) & 0xff] ?? 0) ^ (rest >>> 8)
  return (rest ^ 0xffffffff) >>> 0
}
