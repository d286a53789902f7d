import { INCEPTION, LPIPS, SYNCNET } from '../evaluate/evaluation-cards.ts';
import type { ModelCard } from './weights.ts';

const DNS =
  'https://raw.githubusercontent.com/microsoft/DNS-Challenge/591184a9fcb2cbdec02520fed81a32bbbf9d73ff/DNSMOS/DNSMOS';

/** DNSMOS: what listeners would say of a recording's sound. P.835 gives speech, background and the whole; P.808 the whole. */
export const DNSMOS: ModelCard = {
  name: 'dnsmos',
  summary: 'DNSMOS: how good listeners would find the sound of speech (P.835 and P.808).',
  home: 'https://github.com/microsoft/DNS-Challenge/tree/master/DNSMOS',
  licence: 'CC-BY-4.0',
  languages: 'any',
  device: 'cpu',
  files: [
    {
      name: 'sig_bak_ovr.onnx',
      url: `${DNS}/sig_bak_ovr.onnx`,
      bytes: 1_157_965,
      sha256: '269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd',
    },
    {
      name: 'model_v8.onnx',
      url: `${DNS}/model_v8.onnx`,
      bytes: 224_860,
      sha256: '9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91',
    },
  ],
};

/** Models that judge and are no engine of any stage: the bench and `livedub eval` use them. */
export const evaluation: readonly ModelCard[] = [DNSMOS, SYNCNET, LPIPS, INCEPTION];
