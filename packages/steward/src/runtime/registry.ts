/** The operations this process knows, and which of them it may work on now. */
import { StewardError } from '../core/errors.ts'
import type { Operation } from './api.ts'
import { register, type Registered } from './operation.ts'

export class Registry {
  readonly #known = new Map<string, Registered>()

  /** @throws StewardError STEWARD_OPERATION_DUPLICATE when another definition carries the name. */
  add(operation: Operation): Registered {
    const known = this.#known.get(operation.name)
    if (known) {
      if (known.operation === operation) return known
      throw new StewardError('STEWARD_OPERATION_DUPLICATE', `two definitions carry the name "${operation.name}". Names are stored with every call, so each belongs to one operation. Nothing was started; rename the newer one.`, { operation: operation.name })
    }
    const registered = register(operation)
    this.#known.set(operation.name, registered)
    return registered
  }

  get(name: string): Registered | null {
    return this.#known.get(name) ?? null
  }

  names(): readonly string[] {
    return [...this.#known.keys()]
  }

  all(): Iterable<Registered> {
    return this.#known.values()
  }

  /** @throws StewardError STEWARD_OPERATION_UNKNOWN, naming the closest known one. */
  require(name: string): Registered {
    const known = this.get(name)
    if (known) return known
    const names = [...this.#known.keys()]
    throw new StewardError('STEWARD_OPERATION_UNKNOWN', `this process does not know an operation "${name}" (it knows: ${names.join(', ') || 'none'}). Nothing was changed; pass it to Steward.open({ operations }) or correct the name.`, { operation: name, known: names })
  }
}
