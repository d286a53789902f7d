import { readFileSync, readdirSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second (USER_HZ), whatever the kernel's own tick is. */
const TICK = 0.01;
const PAGE_MIB = 4_096 / 2 ** 20;

interface Reading {
  readonly pid: number;
  readonly parent: number;
  readonly cpu: number;
  readonly rssMiB: number;
}

/** What one group of processes used: CPU as a share of one core over the time measured, memory at its highest. */
export interface Usage {
  readonly name: string;
  readonly processes: number;
  readonly cpu: number;
  readonly rssMiB: number;
}

/** Every process, from `/proc/<pid>/stat` (proc(5)). Empty where there is no `/proc`. */
function readings(): Map<number, Reading> {
  const all = new Map<number, Reading>();
  let pids: string[] = [];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return all;
  }
  for (const name of pids) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The command's name stands in parentheses and may hold anything; fields count from behind it.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const pid = Number(name);
      const cpu = (Number(fields[11]) + Number(fields[12])) * TICK;
      all.set(pid, { pid, parent: Number(fields[1]), cpu, rssMiB: Number(fields[21]) * PAGE_MIB });
    } catch {
      // It ended between being listed and being read.
    }
  }
  return all;
}

/** The process that this one started and whose command line names `program`; the first of them. */
export function childCalled(program: string): number | undefined {
  for (const { pid, parent } of readings().values()) {
    if (parent !== process.pid) continue;
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(program)) return pid;
    } catch {
      // It ended meanwhile.
    }
  }
  return undefined;
}

/** Watches groups of processes: each a process and what it started, less those that are groups of their own. */
export class ProcessWatch {
  readonly #roots: () => Readonly<Record<string, number | undefined>>;
  readonly #cpu = new Map<string, number>();
  readonly #rss = new Map<string, number>();
  readonly #count = new Map<string, number>();
  #last = readings();
  #began = performance.now();

  /** @param roots name → process id, asked anew at every reading */
  constructor(roots: () => Readonly<Record<string, number | undefined>>) {
    this.#roots = roots;
  }

  /** Takes a reading; once a second or so, since what a process used after the last reading before its end is lost. */
  read(): void {
    const now = readings();
    const names = new Map<number, string>();
    for (const [name, pid] of Object.entries(this.#roots())) if (pid !== undefined) names.set(pid, name);
    const groupOf = (pid: number): string | undefined => {
      for (let at: number | undefined = pid; at !== undefined && at > 1; at = now.get(at)?.parent) {
        const name = names.get(at);
        if (name) return name;
      }
      return undefined;
    };
    const rss = new Map<string, number>();
    const count = new Map<string, number>();
    for (const { pid, cpu, rssMiB } of now.values()) {
      const name = groupOf(pid);
      if (!name) continue;
      const used = cpu - (this.#last.get(pid)?.cpu ?? 0);
      this.#cpu.set(name, (this.#cpu.get(name) ?? 0) + Math.max(0, used));
      rss.set(name, (rss.get(name) ?? 0) + rssMiB);
      count.set(name, (count.get(name) ?? 0) + 1);
    }
    for (const [name, value] of rss) this.#rss.set(name, Math.max(value, this.#rss.get(name) ?? 0));
    for (const [name, value] of count) this.#count.set(name, Math.max(value, this.#count.get(name) ?? 0));
    this.#last = now;
  }

  /** Counts from now on. */
  restart(): void {
    this.#last = readings();
    this.#began = performance.now();
    for (const map of [this.#cpu, this.#rss, this.#count]) map.clear();
  }

  usage(): Usage[] {
    const elapsed = Math.max(0.001, (performance.now() - this.#began) / 1_000);
    return [...this.#cpu].map(([name, cpu]) => ({
      name,
      processes: this.#count.get(name) ?? 0,
      cpu: Math.round((cpu / elapsed) * 1_000) / 1_000,
      rssMiB: Math.round(this.#rss.get(name) ?? 0),
    }));
  }
}
