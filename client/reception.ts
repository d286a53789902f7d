/** What `RTCStatsReport` says of one incoming stream, as far as it is read here (W3C webrtc-stats, inbound-rtp). */
export interface InboundStats {
  readonly type: string;
  readonly kind?: string;
  readonly mid?: string;
  readonly timestamp: number;
  readonly bytesReceived?: number;
  readonly packetsReceived?: number;
  readonly packetsLost?: number;
  readonly jitter?: number;
  readonly framesDecoded?: number;
  readonly framesDropped?: number;
  readonly freezeCount?: number;
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly concealedSamples?: number;
}

/** How one stream arrives, between two readings. */
export interface Reception {
  readonly kbps: number;
  readonly fps: number | null;
  readonly jitterMs: number;
  readonly lost: number;
  readonly framesDecoded: number;
  readonly framesDropped: number;
  readonly freezes: number;
  readonly size: string | null;
}

/** The stream's own figures in a receiver's report. mid `probator` is mediasoup's bandwidth probe, which is no stream of ours. */
export function inboundOf(report: Iterable<InboundStats>, kind: 'audio' | 'video'): InboundStats | undefined {
  for (const stats of report) {
    if (stats.type === 'inbound-rtp' && stats.kind === kind && stats.mid !== 'probator') return stats;
  }
  return undefined;
}

/** What happened from `before` to `now`; rates are 0 at the first reading. */
export function reception(now: InboundStats, before: InboundStats | undefined): Reception {
  const seconds = before ? (now.timestamp - before.timestamp) / 1000 : 0;
  const rate = (field: 'bytesReceived' | 'framesDecoded') =>
    seconds > 0 ? Math.max(0, (now[field] ?? 0) - (before?.[field] ?? 0)) / seconds : 0;
  return {
    kbps: (rate('bytesReceived') * 8) / 1000,
    fps: now.kind === 'video' ? rate('framesDecoded') : null,
    jitterMs: (now.jitter ?? 0) * 1000,
    lost: Math.max(0, now.packetsLost ?? 0),
    framesDecoded: now.framesDecoded ?? 0,
    framesDropped: now.framesDropped ?? 0,
    freezes: now.freezeCount ?? 0,
    size: now.frameWidth && now.frameHeight ? `${now.frameWidth}×${now.frameHeight}` : null,
  };
}
