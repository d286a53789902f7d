/** One thing that waits. */
interface Waiting<T> {
  readonly thing: T;
  readonly cost: number;
}
interface Flow<T> {
  readonly name: string;
  readonly waiting: Waiting<T>[];
  cost: number;
  /** How much of its next thing's cost it has been granted. */
  credit: number;
}

/**
 * A queue of several flows that are served in turn, each as much of it as the others, whatever they ask for: deficit round
 * robin with a quantum of one unit of cost.
 *
 * Bounded by cost. When it is full, the flow with most in it loses what came last, which may be what is being put in: a
 * flow that asks for much cannot keep the others out.
 *
 * @see M. Shreedhar, G. Varghese, Efficient Fair Queuing Using Deficit Round Robin, IEEE/ACM Trans. Networking 4(3), 1996
 */
export class FairQueue<T> {
  readonly capacity: number;
  /** In the order in which they are served next. */
  #flows: Flow<T>[] = [];
  #cost = 0;

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
    return this.#flows.length;
  }

  /** What comes first of what waits in the flow whose turn it is. */
  get next(): T | undefined {
    return this.#flows[0]?.waiting[0]?.thing;
  }
  /** Everything that waits, flow by flow. */
  *[Symbol.iterator](): Generator<T, void, void> {
    for (const { waiting } of this.#flows) for (const { thing } of waiting) yield thing;
  }

  /** What is served before something of this flow and cost would have been, itself included. */
  ahead(name: string, cost: number): number {
    const own = this.#flows.find((flow) => flow.name === name)?.cost ?? 0;
    const others = this.#flows.filter((flow) => flow.name !== name);
    return others.reduce((sum, flow) => sum + Math.min(flow.cost, own + cost), own + cost);
  }

  /** Puts something in. Answers what was lost for it, `thing` itself where its own flow has most. */
  push(name: string, thing: T, cost: number): T[] {
    let flow = this.#flows.find((each) => each.name === name);
    if (!flow) this.#flows.push((flow = { name, waiting: [], cost: 0, credit: 0 }));
    flow.waiting.push({ thing, cost });
    flow.cost += cost;
    this.#cost += cost;
    const lost: T[] = [];
    while (this.#cost > this.capacity) {
      const longest = this.#flows.reduce((most, each) =>
        each.cost > most.cost || (each === flow && each.cost === most.cost) ? each : most,
      );
      const last = longest.waiting.at(-1);
      if (!last) break;
      this.#drop(longest, last);
      lost.push(last.thing);
    }
    return lost;
  }

  /** Takes something out that need not be served any more. */
  remove(thing: T): void {
    for (const flow of this.#flows) {
      const found = flow.waiting.find((each) => each.thing === thing);
      if (found) return this.#drop(flow, found);
    }
  }

  /** What is served next, in turn, up to `room`. What `fits` refuses waits and is first the next time. */
  take(room: number, fits: (thing: T) => boolean = () => true): T[] {
    const taken: T[] = [];
    const passed = new Set<Flow<T>>();
    let left = room;
    for (;;) {
      const flow = this.#flows.find((each) => !passed.has(each));
      const first = flow?.waiting[0];
      if (!flow || !first) return taken;
      if (first.cost > left || !fits(first.thing)) {
        passed.add(flow);
        continue;
      }
      flow.credit = Math.min(flow.credit + 1, first.cost);
      this.#flows = [...this.#flows.filter((each) => each !== flow), flow];
      if (flow.credit < first.cost) continue;
      flow.credit = 0;
      left -= first.cost;
      taken.push(first.thing);
      this.#drop(flow, first);
    }
  }

  #drop(flow: Flow<T>, item: Waiting<T>): void {
    flow.waiting.splice(flow.waiting.indexOf(item), 1);
    flow.cost -= item.cost;
    this.#cost -= item.cost;
    if (flow.waiting.length === 0) this.#flows = this.#flows.filter((each) => each !== flow);
  }
}
