import type { ModelCard } from '../store/weights.ts';

const GITHUB = 'https://raw.githubusercontent.com';
const CORES = 'on one core of a 2.5 GHz Xeon';
const shared = { languages: 'any', device: 'cpu' } as const;

export const YUNET: ModelCard = {
  ...shared,
  name: 'yunet',
  summary: 'YuNet: a very small face detector that takes pictures of any size.',
  home: 'https://github.com/ShiqiYu/libfacedetection.train',
  licence: 'BSD-3-Clause',
  speed: `1.1 ms a look at 320 × 192 pixels ${CORES}`,
  files: [
    {
      name: 'yunet_n_dynamic.onnx',
      url: `${GITHUB}/ShiqiYu/libfacedetection.train/0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/yunet_n_dynamic.onnx`,
      bytes: 322_906,
      sha256: '104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12',
    },
  ],
};

export const SCRFD: ModelCard = {
  ...shared,
  name: 'scrfd-2.5g',
  summary: 'InsightFace’s SCRFD face detector of 2.5 billion operations.',
  home: 'https://github.com/deepinsight/insightface/tree/master/detection/scrfd',
  licence: 'LicenseRef-InsightFace-non-commercial',
  terms: 'non-commercial',
  speed: `45 ms a look ${CORES}`,
  files: [
    {
      name: 'scrfd_2.5g_kps.onnx',
      url: `${GITHUB}/anliyuan/Ultralight-Digital-Human/5aa8b5a8aae4b003b7de5750abeac5343a7b38e0/data_utils/scrfd_2.5g_kps.onnx`,
      bytes: 3_291_017,
      sha256: '32d20c77b9e2dc1d07e94c2ab9d25bdd5cd05eddbe0b46e7b38e7a1eca22e99a',
    },
  ],
};

export const ULTRALIGHT: ModelCard = {
  ...shared,
  name: 'ultralight',
  summary: 'Ultra-light face detector RFB-320.',
  home: 'https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB',
  licence: 'MIT',
  speed: `4.5 ms a look ${CORES}`,
  files: [
    {
      name: 'version-RFB-320.onnx',
      url: `${GITHUB}/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB/0f9ca4a9fc80170fd505168fd1132b837141f7df/models/onnx/version-RFB-320.onnx`,
      bytes: 1_270_727,
      sha256: '34cd7e60aeff28744c657de7a3dc64e872d506741de66987f3426f2b79f88017',
    },
  ],
};

export const FACE_MESH: ModelCard = {
  ...shared,
  name: 'facemesh',
  summary: 'MediaPipe’s face mesh: 468 points with depth.',
  home: 'https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker',
  licence: 'Apache-2.0',
  speed: `1.7 ms a face ${CORES}`,
  files: [
    {
      name: 'FaceMesh.onnx',
      url: `${GITHUB}/iperov/DeepFaceLive/fc7b787bda2b8c186e142c52857458eea3a935ed/modelhub/onnx/FaceMesh/FaceMesh.onnx`,
      bytes: 2_332_284,
      sha256: 'd543107cfab6a216501b37667ef1520950410dfe02d4c186e6b154fc91345ee1',
    },
  ],
};

export const PFLD: ModelCard = {
  ...shared,
  name: 'pfld',
  summary: 'PFLD: 68 face landmarks.',
  home: 'https://github.com/cunjian/pytorch_face_landmark',
  licence: 'LicenseRef-none-stated',
  speed: `1.4 ms a face ${CORES}`,
  files: [
    {
      name: 'pfld.onnx',
      url: `${GITHUB}/cunjian/pytorch_face_landmark/1bd2491c3379e44986079fb84746fdcb6ed69bfd/onnx/pfld.onnx`,
      bytes: 2_987_921,
      sha256: '7d7bbd5c6a1d9272e58d9773898284a1905d872eba9a662df9b5f20f1ba6f83e',
    },
  ],
};

export const LANDMARKS_106: ModelCard = {
  ...shared,
  name: '2d106det',
  summary: 'InsightFace’s 106 face landmarks.',
  home: 'https://github.com/deepinsight/insightface/tree/master/alignment/coordinate_reg',
  licence: 'LicenseRef-InsightFace-non-commercial',
  terms: 'non-commercial',
  files: [
    {
      name: '2d106det.onnx',
      url: 'https://huggingface.co/public-data/insightface/resolve/main/models/buffalo_l/2d106det.onnx',
    },
  ],
};

export const SFACE: ModelCard = {
  ...shared,
  name: 'sface',
  summary: 'SFace of the OpenCV model zoo: whose face it is, 128 numbers.',
  home: 'https://github.com/opencv/opencv_zoo/tree/main/models/face_recognition_sface',
  licence: 'Apache-2.0',
  files: [
    {
      name: 'face_recognition_sface_2021dec.onnx',
      url: 'https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_recognition_sface/face_recognition_sface_2021dec.onnx',
    },
  ],
};

export const MOBILE_FACE_NET: ModelCard = {
  ...shared,
  name: 'mobilefacenet',
  summary: 'MobileFaceNet: whose face it is, 128 numbers.',
  home: 'https://github.com/diandianti/photo_analyze',
  licence: 'LicenseRef-none-stated',
  speed: `2.3 ms a face ${CORES}`,
  files: [
    {
      name: 'mobilefacenet.photo_analyze.onnx',
      url: `${GITHUB}/diandianti/photo_analyze/dca5ae5a3977e9c4d2206e246cc55775fa7a9ed1/models/mobilefacenet.onnx`,
      bytes: 3_973_728,
      sha256: 'f055d9c9a4d826d198c42666590fdefa0fdc1374a75ccb6306c3d1b1bf8f74c5',
    },
  ],
};

export const ARC_FACE: ModelCard = {
  ...shared,
  name: 'arcface',
  summary: 'InsightFace’s ArcFace on ResNet-50: whose face it is, 512 numbers.',
  home: 'https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch',
  licence: 'LicenseRef-InsightFace-non-commercial',
  terms: 'non-commercial',
  files: [
    {
      name: 'w600k_r50.onnx',
      url: 'https://huggingface.co/public-data/insightface/resolve/main/models/buffalo_l/w600k_r50.onnx',
    },
  ],
};

export const FSA_NET: ModelCard = {
  ...shared,
  name: 'fsanet',
  summary: 'FSA-Net head pose, two networks whose answers are averaged.',
  home: 'https://github.com/omasaht/headpose-fsanet-pytorch',
  licence: 'MIT',
  speed: `0.7 ms a face ${CORES}`,
  files: [
    {
      name: 'fsanet-1x1-iter-688590.onnx',
      url: `${GITHUB}/omasaht/headpose-fsanet-pytorch/002549c981b607f722e0810d999afcde7e5aaa66/pretrained/fsanet-1x1-iter-688590.onnx`,
      bytes: 1_247_488,
      sha256: 'd85e90cb4b9d3a87e81bbfdcfcd130cbe0e175407042e439a570aa396c44eda6',
    },
    {
      name: 'fsanet-var-iter-688590.onnx',
      url: `${GITHUB}/omasaht/headpose-fsanet-pytorch/002549c981b607f722e0810d999afcde7e5aaa66/pretrained/fsanet-var-iter-688590.onnx`,
      bytes: 1_246_963,
      sha256: '2877b1db98e3dc66468e90df8db4a21059facd1c3f107af91c6d4fe6476a03e1',
    },
  ],
};
