#!/usr/bin/env python3
"""LatentSync behind Livedub's driver protocol.

Run it in LatentSync's own environment, with its repository as the working directory and its checkpoints in place
(https://github.com/bytedance/LatentSync, made for a229c39, version 1.6):

  cd LatentSync
  python /path/to/livedub/models/export/servers/latentsync_server.py --unet-config configs/unet/stage2_512.yaml \\
    --checkpoint checkpoints/latentsync_unet.pt

The pipeline is built as scripts/inference.py builds it, once; every chunk of pictures is a call of it. It works at 25
pictures a second; programmes of another rate get the driven picture that is nearest in time.
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import driver_server as server  # noqa: E402

sys.path.insert(0, os.getcwd())


class LatentSync(server.Driver):
    engine = "latentsync"
    formats = ("rgb24",)

    def __init__(self, options):
        import torch
        from accelerate.utils import set_seed
        from diffusers import AutoencoderKL, DDIMScheduler
        from latentsync.models.unet import UNet3DConditionModel
        from latentsync.pipelines.lipsync_pipeline import LipsyncPipeline
        from latentsync.whisper.audio2feature import Audio2Feature
        from omegaconf import OmegaConf

        self.options = options
        self.chunk = options.chunk
        self.config = config = OmegaConf.load(options.unet_config)
        half = torch.cuda.is_available() and torch.cuda.get_device_capability()[0] > 7
        self.dtype = torch.float16 if half else torch.float32
        whisper = {768: "checkpoints/whisper/small.pt", 384: "checkpoints/whisper/tiny.pt"}
        encoder = Audio2Feature(
            model_path=whisper[config.model.cross_attention_dim],
            device="cuda",
            num_frames=config.data.num_frames,
            audio_feat_length=config.data.audio_feat_length,
        )
        vae = AutoencoderKL.from_pretrained("stabilityai/sd-vae-ft-mse", torch_dtype=self.dtype)
        vae.config.scaling_factor = 0.18215
        vae.config.shift_factor = 0
        unet, _ = UNet3DConditionModel.from_pretrained(
            OmegaConf.to_container(config.model), options.checkpoint, device="cpu"
        )
        self.pipeline = LipsyncPipeline(
            vae=vae,
            audio_encoder=encoder,
            unet=unet.to(dtype=self.dtype),
            scheduler=DDIMScheduler.from_pretrained("configs"),
        ).to("cuda")
        if options.deepcache:
            from DeepCache import DeepCacheSDHelper

            helper = DeepCacheSDHelper(pipe=self.pipeline)
            helper.set_params(cache_interval=3, cache_branch_id=0)
            helper.enable()
        set_seed(options.seed)

    def drive(self, take, pictures):
        rate = server.frame_rate(pictures)
        with tempfile.TemporaryDirectory(prefix="livedub") as place:
            video, sound, made = (os.path.join(place, name) for name in ("face.mp4", "dub.wav", "made.mp4"))
            server.write_video(video, take, pictures, rate)
            # Without sound for its last picture the pipeline would leave it out; where there is more, it turns back.
            server.write_sound(sound, take.heard(pictures[0].start, len(pictures) / rate))
            try:
                self.pipeline(
                    video_path=video,
                    audio_path=sound,
                    video_out_path=made,
                    num_frames=self.config.data.num_frames,
                    num_inference_steps=self.options.steps,
                    guidance_scale=self.options.guidance,
                    weight_dtype=self.dtype,
                    width=self.config.data.resolution,
                    height=self.config.data.resolution,
                    mask_image_path=self.config.data.mask_image_path,
                    temp_dir=os.path.join(place, "temp"),
                )
            except RuntimeError as failure:
                # ImageProcessor's words where it finds no face.
                if "face not detected" in str(failure).lower():
                    return ["no-face"] * len(pictures)
                raise
            return server.at_times(pictures, *server.read_video(made, take))


if __name__ == "__main__":
    parser = server.arguments(__doc__, 8651)
    parser.add_argument("--unet-config", default="configs/unet/stage2_512.yaml")
    parser.add_argument("--checkpoint", default="checkpoints/latentsync_unet.pt")
    parser.add_argument("--steps", type=int, default=20, help="steps of denoising")
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--seed", type=int, default=1247)
    parser.add_argument("--chunk", type=int, default=32, help="pictures at once; multiples of 16 waste nothing")
    parser.add_argument("--deepcache", action="store_true", help="faster, a little worse")
    chosen = parser.parse_args()
    server.main(LatentSync(chosen), chosen)
