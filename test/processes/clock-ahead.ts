// Loaded before a server of the tests starts (`--import`): its wall clock is ahead by what the environment says, so that a lease can be over without anybody waiting.
// The program itself runs as it is.
const real = Date.now
const ahead = Number(process.env['CLOCK_AHEAD_MS'] ?? 0)
Date.now = () => real() + ahead
