/** `npm run simulate`: many calls, many seeds, nothing doubled, lost or untrue. */
console.error('the simulator is being built')
process.exitCode = 1
