/**
 * Bugs to be found: small changes of the engine's source, each a mistake that somebody could make. The text to be
 * changed must stand there exactly once, so that a mutant that lost its place is noticed.
 */
export type Mutant = {
  readonly name: string
  /** What is wrong with it, in a sentence. */
  readonly what: string
  /** Under packages/steward/src. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

const CORE: readonly Mutant[] = [
  { name: 'fresh-generation-per-attempt', what: 'Every attempt gets a fresh key, also while an earlier one is in doubt.', file: 'core/decide.ts', find: 'const call = doubt.length === 0 && needsFreshKey(before, policy, now) ? freshGeneration(before) : before', replace: 'const call = before.attempts > 0 ? freshGeneration(before) : before' },
  { name: 'resend-outside-window', what: 'A key is sent again although the provider may have forgotten it.', file: 'core/policy.ts', find: "return policy.answer !== 'providerKey' || firstBegunAt === null || at <= lastBeginAt(policy, firstBegunAt)", replace: 'return at >= 0' },
  { name: 'resend-under-none', what: 'What may have happened is sent again although nothing makes that safe.', file: 'core/conclude.ts', find: "if (policy.answer === 'natural') return true", replace: "if (policy.answer === 'natural' || policy.answer === 'none') return true" },
  { name: 'reconcile-resends-without-looking', what: 'What may have happened is sent again before anybody looked.', file: 'core/conclude.ts', find: "if (policy.answer === 'natural') return true", replace: "if (policy.answer === 'natural' || policy.answer === 'reconcile') return true" },
  { name: 'spent-key-is-sent-again', what: 'A key whose stored answer never changes is sent again and again instead of asking.', file: 'core/conclude.ts', find: "return policy.answer === 'providerKey' && !call.keySpent && windowOpen(policy, call.firstBegunAt, now)", replace: "return policy.answer === 'providerKey' && windowOpen(policy, call.firstBegunAt, now)" },
  { name: 'lookup-before-deadline-and-settle', what: 'An absence counts although the effect may still show up.', file: 'core/conclude.ts', find: 'overAt(attempt) : Math.max(overAt(attempt), attempt.deadlineAt)), 0) + policy.settleMs + 1', replace: 'overAt(attempt) : Math.max(overAt(attempt), attempt.deadlineAt)), 0) * 0' },
  { name: 'settle-without-deadline', what: 'The settle time is counted from the begin, not from when the last byte may have left.', file: 'core/conclude.ts', find: 'overAt(attempt) : Math.max(overAt(attempt), attempt.deadlineAt)), 0) + policy.settleMs + 1', replace: 'attempt.begunAt : attempt.begunAt), 0) + 1' },
  { name: 'found-is-not-believed', what: 'A lookup that found the effect is taken for one that cannot tell.', file: 'core/decide.ts', find: "if (answer.kind === 'found') {", replace: "if (answer.kind === 'found' && answer.result === 'never') {" },
  { name: 'absent-once-thrown', what: 'A lookup that threw is taken for an absence.', file: 'runtime/attempt.ts', find: "return { kind: 'cannot_tell', reason: verdictOf(error, { nowMs: this.#around.system.now() }).reason.slice(0, LIMITS.reasonChars) }", replace: "return { kind: 'absent' }" },
  { name: 'rejected-after-an-earlier-unknown', what: 'A refusal ends the call although an earlier attempt may have happened.', file: 'core/decide.ts', find: 'return { ...base, open: conclusive ? others.filter((other) => other.generation !== attempt.generation) : others, stop, reason: verdict.reason }', replace: 'return { ...base, open: [], stop, reason: verdict.reason }' },
  { name: 'every-refusal-is-conclusive', what: 'Under a key any refusal is taken to speak for all earlier attempts.', file: 'core/decide.ts', find: "const conclusive = verdict.conclusive === true && policy.answer === 'providerKey'", replace: "const conclusive = policy.answer === 'providerKey'" },
  { name: 'not-applied-clears-all-doubt', what: 'An attempt that did not happen is taken to say so of the earlier ones.', file: 'core/decide.ts', find: 'return { ...base, open: others, keySpent: call.keySpent || verdict.keySpent === true, reason: verdict.reason }', replace: 'return { ...base, open: [], keySpent: call.keySpent || verdict.keySpent === true, reason: verdict.reason }' },
  { name: 'lapsed-is-unsent', what: 'An attempt whose worker died is taken for one that was never sent.', file: 'core/decide.ts', find: 'const next = { ...call, open, lapses: call.lapses + 1,', replace: 'const next = { ...call, open: open.filter((attempt) => attempt.n !== running.n), lapses: call.lapses + 1,' },
  { name: 'stop-ends-in-doubt', what: 'A call that is told to stop ends at once, whatever is in doubt.', file: 'core/decide.ts', find: "const next = { ...call, stop, reason: `cancelled by ${event.by}` }", replace: "const next = { ...call, open: call.state === 'running' ? call.open : [], stop, reason: `cancelled by ${event.by}` }" },
  { name: 'late-answer-changes-nothing', what: 'What a worker says after it lost its lease is written to the story and not believed.', file: 'core/decide.ts', find: "if (verdict.kind === 'unknown') return { call, entry }\n  if (verdict.kind === 'accepted')", replace: "if (verdict.kind !== 'accepted') return { call, entry }\n  if (verdict.kind === 'accepted')" },
  { name: 'wait-is-not-told-to-others', what: 'Told to come back later, only this call waits; the others of the provider do not.', file: 'core/decide.ts', find: '...(wait > 0 ? { holdUntilAt: now + wait } : {}) }', replace: '}' },
  { name: 'wait-is-ignored', what: 'Told to come back later, nobody waits.', file: 'core/decide.ts', find: "const told = 'retryAfterMs' in verdict ? (verdict.retryAfterMs ?? 0) : 0", replace: 'const told = 0' },
  { name: 'upgrade-while-in-doubt', what: 'The input is brought to the next version although an attempt with the old one may have happened.', file: 'core/decide.ts', find: "return call.state === 'waiting' && unrefuted(call).length === 0\n}", replace: "return call.state === 'waiting'\n}" },
  { name: 'refutation-covers-what-comes-later', what: 'A refutation closes attempts that were not over at its instant.', file: 'core/facts.ts', find: 'if (fact.attempt === undefined) return overAt(attempt) < fact.at', replace: 'if (fact.attempt === undefined) return true' },
  { name: 'doubt-is-silent', what: 'A call becomes in doubt, and nobody is told.', file: 'core/alerts-of.ts', find: "if (after.state === 'in_doubt') raise(", replace: "if (after.state === 'in_doubt' && now < 0) raise(" },
  { name: 'expiry-is-silent', what: 'A call expires, and nobody is told.', file: 'core/alerts-of.ts', find: "if (after.state === 'expired') raise(", replace: "if (after.state === 'expired' && before.attempts > 1e9) raise(" },
]

const VERDICTS: readonly Mutant[] = [
  { name: '401-ends-the-call', what: 'A refused caller ends the call for good.', file: 'core/verdict-of.ts', find: "status === 407) return { kind: 'not_applied', reason, status, refused: 'caller' }", replace: "status === 407) return { kind: 'rejected', reason, status }" },
  { name: '409-is-a-refusal', what: 'A conflict with a request that still runs is taken for a refusal.', file: 'core/verdict-of.ts', find: 'if (status >= 400 && status < 500 && status !== 408 && status !== 409)', replace: 'if (status >= 400 && status < 500 && status !== 408)' },
  { name: '5xx-is-not-applied', what: 'An internal error is taken for "did not happen".', file: 'core/verdict-of.ts', find: "return withWait({ kind: 'unknown', reason, status }, status === 503 ? waitMs : undefined)", replace: "return { kind: 'not_applied', reason, status }" },
  { name: 'no-answer-is-not-applied', what: 'A broken connection is taken for "did not happen".', file: 'core/verdict-of.ts', find: "if (code !== '') return { kind: 'unknown', reason: cap(`no definite answer (${code})`) }", replace: "if (code !== '') return { kind: 'not_applied', reason: cap(`no definite answer (${code})`) }" },
  { name: 'timeout-is-not-applied', what: 'An attempt past its deadline is taken for one that did not happen.', file: 'runtime/attempts.ts', find: "else this.#closed(run, { kind: 'unknown', reason: `no answer within ${after}` }, `no answer within ${after}`)", replace: "else this.#closed(run, { kind: 'not_applied', reason: `no answer within ${after}` }, `no answer within ${after}`)" },
  { name: 'checkout-500-is-sent-again', what: 'A 500 of a provider that does not keep errors is sent again under the same key.', file: 'providers/checkout.ts', find: "if (status === 500) return spent(answer, 'such an answer is not stored, and the same key would attempt the payment again')", replace: '' },
  { name: 'key-in-use-is-conclusive', what: 'That an earlier request with the key still runs is taken for a refusal of both.', file: 'providers/stripe.ts', find: "return { kind: 'unknown', reason: 'answered 409: an earlier request with the same key is still running', status: answer.status }", replace: "return { kind: 'rejected', conclusive: true, reason: 'answered 409', status: answer.status }" },
]

const RUNTIME: readonly Mutant[] = [
  { name: 'sends-without-a-begin', what: 'The request leaves although the begin was refused: the call was somebody else\'s.', file: 'runtime/attempts.ts', find: 'if (result.ok) return this.#send(decision.call, registered, lease, n, deadlineMs)', replace: 'this.#send(decision.call, registered, lease, n, deadlineMs); if (result.ok) return' },
  { name: 'sends-before-the-begin-is-stored', what: 'The request leaves while its begin is still on its way to the store.', file: 'runtime/attempts.ts', find: "    this.#begins.add(call.id)\n", replace: "    this.#begins.add(call.id)\n    new RunningAttempt(this.#o, decision.call, registered, lease, n, deadlineMs).send().catch(() => undefined)\n" },
  { name: 'fresh-key-per-attempt', what: 'The key that is sent is derived from the attempt, not from the generation.', file: 'runtime/attempt.ts', find: 'this.idempotencyKey = keyOf(call, call.generation, around.system)', replace: 'this.idempotencyKey = keyOf(call, Math.max(1, n), around.system)' },
  { name: 'no-fence', what: 'A worker that lost its lease writes as if nothing had happened: neither lease nor revision is compared.', file: 'testing/memory-rows.ts', find: "  if (write.lease && !(isAlive(data, write.lease) && holds(row, write.lease) && !isEnd(row.call.state))) return refused('lease')\n  if (row.call.rev !== write.expectRev) return refused('rev')\n", replace: '' },
  { name: 'gate-is-open', what: 'Bytes leave after the deadline and without the lease.', file: 'runtime/attempt.ts', find: "    if (this.#around.system.monotonicMs() >= this.deadlineMs || this.#around.store.now() >= this.#deadlineAt) return 'deadline'\n    if (this.#closed || !this.#around.keeper.holds(this.lease)) return 'lease'\n", replace: '' },
  { name: 'gate-goes-by-the-monotonic-clock', what: 'A machine that slept sends after the deadline: its monotonic clock stood still.', file: 'runtime/attempt.ts', find: "if (this.#around.system.monotonicMs() >= this.deadlineMs || this.#around.store.now() >= this.#deadlineAt) return 'deadline'\n    if (this.#closed || !this.#around.keeper.holds(this.lease)) return 'lease'", replace: "if (this.#around.system.monotonicMs() >= this.deadlineMs) return 'deadline'" },
  { name: 'second-request-may-leave', what: 'A client that sends again by itself is not stopped where that doubles the effect.', file: 'witness/watch.ts', find: "return this.scope.single && this.anotherMayHaveActed(record) && !record.isCredential() ? 'second-request' : undefined", replace: 'return undefined' },
  { name: 'late-answer-is-dropped', what: 'The answer of a worker that lost its lease is thrown away.', file: 'runtime/attempts.ts', find: "if (verdict.kind === 'unknown' || run.n === 0) return\n", replace: 'if (run.n >= 0) return\n' },
  { name: 'unrecorded-answer-is-dropped', what: 'An answer that could not be stored at once is thrown away.', file: 'runtime/attempts.ts', find: "          if (!this.#over) this.#recordAnswer(run, call, verdict, hold)\n", replace: '' },
  { name: 'uncertain-begin-is-forgotten', what: 'A begin whose answer was lost leaves the call running for ever.', file: 'runtime/attempts.ts', find: "if (result.why === 'store') void this.#beginUncertain(call, registered, lease, n)\n      else if", replace: "if (result.why === 'store') this.#o.onHint()\n      else if" },
  { name: 'lost-claims-are-forgotten', what: 'Calls that were leased to a worker that did not hear of it stay leased.', file: 'runtime/leftovers.ts', find: '    this.#looks = LOOKS\n', replace: '    this.#looks = 0\n' },
  { name: 'lost-wake-up', what: 'An idle worker does not look at the store again.', file: 'runtime/claims.ts', find: 'this.wake(Math.min(now + SWEEP_MS, nextAt, endAt ?? Number.POSITIVE_INFINITY))', replace: 'void nextAt; void endAt' },
  { name: 'dead-are-not-buried', what: 'Attempts of dead workers are left running.', file: 'runtime/recovery.ts', find: "    if (call.state !== 'running' || !running) return\n", replace: "    if (call.state !== 'running' || running) return\n" },
  { name: 'holds-are-not-heeded', what: 'That a provider said "not before then" is on record, and no worker heeds it.', file: 'runtime/controls.ts', find: "if (control.kind === 'provider' && control.name === registered.provider) return control", replace: '' },
  { name: 'alert-outside-the-transaction', what: 'An alert is raised after the record is stored: a death in between loses it.', file: 'runtime/recorder.ts', find: '...(decision.alerts.length > 0 ? { alerts: decision.alerts } : {}),\n', replace: '' },
  { name: 'alert-is-marked-before-it-is-told', what: 'Alerts count as delivered before anybody took them.', file: 'runtime/alerting.ts', find: '        await this.#within(TOLD_WITHIN_MS, this.#onAlert(alert))\n        delivered.push(alert.id)\n', replace: '        delivered.push(alert.id)\n        await this.#within(TOLD_WITHIN_MS, this.#onAlert(alert))\n' },
  { name: 'handler-is-called-once', what: 'An end that the application could not take is never told again.', file: 'runtime/settling.ts', find: 'for (const due of await store.settlesDue(now, PAGE, registry.names())) {', replace: 'for (const due of (await store.settlesDue(now, PAGE, registry.names())).slice(0, 0)) {' },
  { name: 'other-input-joins', what: 'Another input under a known key joins silently.', file: 'runtime/entry.ts', find: 'const differs = stored.given === call.given ? [] :', replace: 'const differs = stored.given !== call.given ? [] :' },
  { name: 'uncertain-insert-is-believed', what: 'An insert of unknown outcome is reported as stored.', file: 'runtime/entry.ts', find: '        if (tries >= TRIES) throw error\n        continue\n', replace: "        return { status: 'created', call: write.call }\n" },
  { name: 'own-claim-is-sent-twice', what: 'An insert that is repeated takes the attempt of its own worker for its own.', file: 'runtime/entry.ts', find: '    if (worker.has(stored.id)) return\n', replace: '' },
  { name: "worker's-clock-decides", what: "Instants on record come from the worker's clock.", file: 'runtime/attempts.ts', find: '    const startMs = this.#o.system.monotonicMs()\n    const now = this.#o.store.now()\n', replace: '    const startMs = this.#o.system.monotonicMs()\n    const now = this.#o.system.now()\n' },
  { name: 'old-code-takes-new-calls', what: 'A worker claims calls of a version it does not understand.', file: 'runtime/operation.ts', find: '  const versions = [operation.version]\n', replace: '  const versions = [operation.version, operation.version + 1]\n' },
]

export const MUTANTS: readonly Mutant[] = [...CORE, ...VERDICTS, ...RUNTIME]

/** The source with the bug planted. Throws when its text is not there exactly once. */
export function planted({ name, file, find, replace }: Mutant, source: string): string {
  const times = source.split(find).length - 1
  if (times !== 1) throw new Error(`mutant ${name}: its text stands ${times} times in ${file}, and must stand there once. The source moved on: bring the mutant along.`)
  return source.replace(find, () => replace)
}
