import { networkReports } from '../../models/runtime/network-report.ts';
import type { NetworkView } from '../protocol.ts';

/** The neural networks that this process has open, as they are shown. */
export const networkViews = (): NetworkView[] =>
  networkReports().map(({ lost, ...network }) => ({ ...network, lost: lost.overflow + lost.expired + lost.failed }));
