import type { ModelCard } from '../store/weights.ts';

const SHERPA = 'https://github.com/k2-fsa/sherpa-onnx/releases/download/speaker-recongition-models';
/** The release's name is spelled like this. */
const HOME = 'https://github.com/k2-fsa/sherpa-onnx/releases/tag/speaker-recongition-models';

const published = (name: string, summary: string, file: string, licence: string): ModelCard => ({
  name,
  summary,
  home: HOME,
  licence,
  languages: 'any',
  device: 'cpu',
  files: [{ name: file, url: `${SHERPA}/${encodeURIComponent(file)}` }],
});

/** pyannote's segmentation, quantised to 8 bits. */
export const SEGMENTATION_CARD: ModelCard = {
  name: 'pyannote-segmentation-3.0',
  summary: 'Who of up to three people speaks when within ten seconds, two of them at one time at most.',
  home: 'https://huggingface.co/pyannote/segmentation-3.0',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  speed: '28 ms per window of 10 s on one core of a Xeon at 2.5 GHz',
  files: [
    {
      name: 'model.int8.onnx',
      url: 'https://huggingface.co/csukuangfj/sherpa-onnx-pyannote-segmentation-3-0/resolve/main/model.int8.onnx',
      bytes: 1_540_506,
      sha256: 'd582f4b4c6b48205de7e0643c57df0df5615a3c176189be3fc461e9d18827b5d',
    },
  ],
};

/** What each embedding's network is fetched from. What has no file here is exported from a checkpoint. */
export const EMBEDDING_CARDS = {
  campplus: published(
    'campplus-voxceleb',
    'Speaker embedding: CAM++ of 3D-Speaker, trained on VoxCeleb.',
    '3dspeaker_speech_campplus_sv_en_voxceleb_16k.onnx',
    'Apache-2.0',
  ),
  eres2net: published(
    'eres2net-voxceleb',
    'Speaker embedding: ERes2Net of 3D-Speaker, trained on VoxCeleb.',
    '3dspeaker_speech_eres2net_sv_en_voxceleb_16k.onnx',
    'Apache-2.0',
  ),
  wespeaker: published(
    'wespeaker-resnet34',
    "Speaker embedding: WeSpeaker's ResNet34 with large-margin tuning, trained on VoxCeleb.",
    'wespeaker_en_voxceleb_resnet34_LM.onnx',
    'CC-BY-4.0',
  ),
  titanet: published(
    'titanet-small',
    "Speaker embedding: TitaNet-small of NVIDIA's NeMo.",
    'nemo_en_titanet_small.onnx',
    'CC-BY-4.0',
  ),
  ecapa: {
    name: 'ecapa-voxceleb',
    summary:
      'Speaker embedding: ECAPA-TDNN of SpeechBrain; models/export/embedding_reference.py makes ecapa.onnx of it.',
    home: 'https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb',
    licence: 'Apache-2.0',
    languages: 'any',
    device: 'cpu',
    files: [
      {
        name: 'embedding_model.ckpt',
        url: 'https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb/resolve/main/embedding_model.ckpt',
      },
    ],
  },
  wq2012: {
    name: 'wq2012',
    summary:
      'Speaker embedding: a small LSTM trained on LibriSpeech; models/export/embedding_reference.py makes its ONNX.',
    home: 'https://github.com/wq2012/SpeakerRecognitionFromScratch',
    licence: 'Apache-2.0',
    languages: 'any',
    device: 'cpu',
    speed: '4 ms per second of voice on one core of a Xeon at 2.5 GHz',
    files: [
      {
        name: 'saved_model.bilstm.mean.all.gpu100000.pt',
        url: 'https://raw.githubusercontent.com/wq2012/SpeakerRecognitionFromScratch/1ec7b7dc58ee8983289afbac3e5eb36e5c9591bd/saved_model/pretrained/saved_model.bilstm.mean.all.gpu100000.pt',
      },
    ],
  },
} satisfies Record<string, ModelCard>;

export type EmbeddingName = keyof typeof EMBEDDING_CARDS;
export const EMBEDDINGS = Object.keys(EMBEDDING_CARDS) as [EmbeddingName, ...EmbeddingName[]];

/** The file each network is read from: a published one, or what the export script writes beside the checkpoint. */
export const NETWORK_FILES: Readonly<Record<EmbeddingName, string>> = {
  campplus: EMBEDDING_CARDS.campplus.files[0]!.name,
  eres2net: EMBEDDING_CARDS.eres2net.files[0]!.name,
  wespeaker: EMBEDDING_CARDS.wespeaker.files[0]!.name,
  titanet: EMBEDDING_CARDS.titanet.files[0]!.name,
  ecapa: 'ecapa.onnx',
  wq2012: 'saved_model.bilstm.mean.all.gpu100000.onnx',
};
