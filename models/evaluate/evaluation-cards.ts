import type { ModelCard } from '../store/weights.ts';

/** SyncNet's published weights; `models/export/syncnet.py` makes the networks of them. */
export const SYNCNET: ModelCard = {
  name: 'syncnet',
  summary: 'SyncNet: whether lips and sound go together (LSE-C, LSE-D); to be exported by models/export/syncnet.py.',
  home: 'https://github.com/joonson/syncnet_python',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  files: [
    {
      name: 'syncnet_v2.model',
      url: 'https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model',
    },
  ],
};

/** LPIPS by AlexNet: torchvision's network with the weights that people's judgements gave its layers. */
export const LPIPS: ModelCard = {
  name: 'lpips-alex',
  summary: 'LPIPS (AlexNet): how different two pictures look to people; to be exported by models/export/perceptual.py.',
  home: 'https://github.com/richzhang/PerceptualSimilarity',
  licence: 'BSD-2-Clause AND BSD-3-Clause',
  languages: 'any',
  device: 'cpu',
  files: [
    { name: 'alexnet-owt-7be5be79.pth', url: 'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth' },
    {
      name: 'alex.pth',
      url: 'https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/alex.pth',
      bytes: 6_009,
      sha256: 'df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0',
    },
  ],
};

/** The Inception network whose features the Fréchet distance is about. */
export const INCEPTION: ModelCard = {
  name: 'fid-inception',
  summary:
    'Inception v3 as FID uses it: how far apart two sets of pictures are; to be exported by models/export/perceptual.py.',
  home: 'https://github.com/mseitzer/pytorch-fid',
  licence: 'Apache-2.0',
  languages: 'any',
  device: 'cpu',
  files: [
    {
      name: 'pt_inception-2015-12-05-6726825d.pth',
      url: 'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth',
    },
  ],
};
