/**
 * Amazon SQS, FIFO queues (`MessageDeduplicationId`, up to 128 characters).
 *
 *  - A message with the same deduplication id within 5 minutes is accepted and not delivered again.
 *    [documented: botocore service-2.json, sqs SendMessage]
 *  - The second message's attributes and body are not compared. [documented]
 *  - There is nothing to ask afterwards: after 5 minutes an unknown outcome is in doubt, unless your consumer can tell
 *    (`lookup`). [inferred]
 *  - The SDK sends up to 3 times by itself; under the same id that is harmless. [read: @smithy/core@3.41.0]
 *  - Standard queues take no such id: this preset is not for them.
 *  - The deduplication id travels in the body, not in a header. [read: @aws-sdk/client-sqs@3.1169.0]
 *  - KMS and queue errors are answered 400; they are about our setup, not about the message. [read: same, models/errors]
 */
import type { FailureVerdict } from '../core/verdict.ts'
import type { Tried } from '../core/verdict-of.ts'
import type { IdempotencyAnswer } from '../ports/definition.ts'
import type { ProviderAnswer } from './error-shape.ts'
import { type Facts, preset, type PresetOptions } from './preset.ts'

/** Our setup: credentials, keys of KMS, the queue itself. Corrected, the same message is taken. */
const SETUP = new Set([
  'AWS.SimpleQueueService.NonExistentQueue', 'QueueDoesNotExist', 'QueueDeletedRecently', 'InvalidAddress', 'InvalidSecurity', 'ResourceNotFoundException',
  'KmsAccessDenied', 'KmsDisabled', 'KmsInvalidKeyUsage', 'KmsInvalidState', 'KmsNotFound', 'KmsOptInRequired',
])
const LOAD = new Set(['KmsThrottled', 'OverLimit', 'RequestThrottled'])

function refine(answer: ProviderAnswer, _general: FailureVerdict & Tried): FailureVerdict | undefined {
  if (answer.status < 400 || answer.status >= 500) return undefined
  const reason = `answered ${answer.status} (${answer.name})`
  if (SETUP.has(answer.name)) return { kind: 'not_applied', reason, status: answer.status, refused: 'caller' }
  return LOAD.has(answer.name) ? { kind: 'not_applied', reason, status: answer.status, refused: 'load' } : undefined
}

const FACTS: Facts = {
  provider: 'sqs',
  reason: 'SQS delivers one message per deduplication id within 5 minutes',
  retention: '5m',
  margin: '15s',
  keyInHeader: false,
  settle: '1m',
  absences: 2,
  refine,
}

/** Answer for SendMessage to a FIFO queue. Pass `context.idempotencyKey` as `MessageDeduplicationId`. */
export function sqsFifo<Input = unknown, Result = unknown>(options: PresetOptions<Input, Result> = {}): IdempotencyAnswer<Input, Result> {
  return preset(FACTS, options)
}
