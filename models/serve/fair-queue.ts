/** One thing that waits. */
interface Waiting<T> {
  readonly thing: T;
  readonly cost: number;
}
interface Flow<T> {
  readonly name: string;
  readonly waiting: Waiting<T>[];
  cost: number;
  /** What it has been served, on an axis that all flows share: who has least is next. */
  served: number;
}

/**
 * A queue of several flows that are served alike, each as much of it as the others, whatever they ask for: start-time fair
 * queueing. Two flows that both have something waiting differ by no more than the largest thing of each, also where things
 * are taken several at a time and some do not fit.
 *
 * Bounded by cost. When it is full, the flow with most in it loses what came last, which may be what is being put in: a
 * flow that asks for much cannot keep the others out.
 *
 * @see P. Goyal, H. M. Vin, H. Cheng, Start-time Fair Queuing, Proc. SIGCOMM 1996
 */
export class FairQueue<T> {
  readonly capacity: number;
  readonly #flows = new Map<string, Flow<T>>();
  /** What flows have been served that have nothing waiting now, so that they gain nothing by leaving. */
  readonly #left = new Map<string, number>();
  #cost = 0;
  /** Where flows begin that come now. */
  #now = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`Cannot create fair queue: capacity must be a positive integer, received ${capacity}`);
    }
    this.capacity = capacity;
  }

  /** What all that waits costs. */
  get cost(): number {
    return this.#cost;
  }
  /** Flows that have something waiting. */
  get flows(): number {
    return this.#flows.size;
  }

  /** What is served next. */
  get next(): T | undefined {
    return this.#least()?.waiting[0]?.thing;
  }
  /** Everything that waits, flow by flow. */
  *[Symbol.iterator](): Generator<T, void, void> {
    for (const { waiting } of this.#flows.values()) for (const { thing } of waiting) yield thing;
  }

  /** About how much is served before something of this flow and cost would have been, itself included. */
  ahead(name: string, cost: number): number {
    const own = (this.#flows.get(name)?.cost ?? 0) + cost;
    let sum = own;
    for (const flow of this.#flows.values()) if (flow.name !== name) sum += Math.min(flow.cost, own);
    return sum;
  }

  /** Puts something in. Answers what was lost for it, `thing` itself where its own flow has most. */
  push(name: string, thing: T, cost: number): T[] {
    let flow = this.#flows.get(name);
    if (!flow) {
      flow = { name, waiting: [], cost: 0, served: Math.max(this.#now, this.#left.get(name) ?? 0) };
      this.#flows.set(name, flow);
    }
    flow.waiting.push({ thing, cost });
    flow.cost += cost;
    this.#cost += cost;
    const lost: T[] = [];
    while (this.#cost > this.capacity) {
      let most = flow;
      for (const each of this.#flows.values()) if (each.cost > most.cost) most = each;
      const last = most.waiting.at(-1);
      if (!last) break;
      this.#drop(most, last);
      lost.push(last.thing);
    }
    return lost;
  }

  /** Takes something out that need not be served any more. */
  remove(thing: T): void {
    for (const flow of this.#flows.values()) {
      const found = flow.waiting.find((each) => each.thing === thing);
      if (found) return this.#drop(flow, found);
    }
  }

  /** What is served next, up to `room`. What `fits` refuses waits, and is the earlier served the next time. */
  take(room: number, fits: (thing: T) => boolean = () => true): T[] {
    const taken: T[] = [];
    const passed = new Set<Flow<T>>();
    for (let left = room; left > 0;) {
      const flow = this.#least(passed);
      const first = flow?.waiting[0];
      if (!flow || !first) break;
      if (first.cost > left || !fits(first.thing)) {
        passed.add(flow);
        continue;
      }
      left -= first.cost;
      taken.push(first.thing);
      this.#now = Math.max(this.#now, flow.served);
      flow.served += first.cost;
      this.#drop(flow, first);
    }
    for (const [name, served] of this.#left) if (served <= this.#now || this.#cost === 0) this.#left.delete(name);
    return taken;
  }

  #least(passed?: ReadonlySet<Flow<T>>): Flow<T> | undefined {
    let least: Flow<T> | undefined;
    for (const flow of this.#flows.values()) {
      if (!passed?.has(flow) && (!least || flow.served < least.served)) least = flow;
    }
    return least;
  }

  #drop(flow: Flow<T>, item: Waiting<T>): void {
    flow.waiting.splice(flow.waiting.indexOf(item), 1);
    flow.cost -= item.cost;
    this.#cost -= item.cost;
    if (flow.waiting.length > 0) return;
    this.#flows.delete(flow.name);
    this.#left.set(flow.name, flow.served);
  }
}
