/** How much this process and its threads use, since the last reading. */
export class ProcessLoad {
  #usage = process.cpuUsage();
  #at = process.hrtime.bigint();

  /** `cpu`: share of one core; `rssMiB`: resident memory; `uptime`: seconds. Programs beside the process are not in it. */
  read(): { readonly cpu: number; readonly rssMiB: number; readonly uptime: number } {
    const now = process.hrtime.bigint();
    const { user, system } = process.cpuUsage(this.#usage);
    const elapsed = Math.max(1, Number(now - this.#at) / 1_000);
    this.#usage = process.cpuUsage();
    this.#at = now;
    return {
      cpu: Math.round(((user + system) / elapsed) * 1_000) / 1_000,
      rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
      uptime: Math.round(process.uptime()),
    };
  }
}
