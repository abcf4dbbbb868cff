"""What a step learns from, as a pure function of the seed and of how far the training has come."""

from dataclasses import dataclass

import torch

from training.batches import BatchStream
from training.config import TrainConfig
from training.data import Batch, ImageZip, Sampling, labels_like_data, one_hot
from training.draws import Stream, torch_generator
from training.shares import Share
from training.state import TrainState
from training.step import Latents, StepLatents, needs_path_length


@dataclass(frozen=True, slots=True)
class StepSource:
    """Images and latents of the steps of one training, for one process's share."""

    config: TrainConfig
    images: ImageZip
    batches: BatchStream
    class_count: int
    device: torch.device
    share: Share

    def inputs(self, state: TrainState) -> tuple[Batch, StepLatents]:
        """Those of the step that follows `state`."""
        config = self.config
        batch = self.batches.read(state.images)
        batch = Batch(batch.images.to(self.device), batch.classes.to(self.device))
        for_discriminator = self._latents(state.step, Stream.LATENTS_FOR_D)
        latents = StepLatents(
            for_discriminator,
            for_discriminator if config.reuse_fakes else self._latents(state.step, Stream.LATENTS_FOR_G),
            self._latents(state.step, Stream.LATENTS_FOR_PATHS) if needs_path_length(state, config) else None,
        )
        return batch, latents

    def _latents(self, step: int, stream: Stream) -> Latents:
        """Drawn for the whole minibatch, by every process alike; then its own rows."""
        config, own = self.config, self.share.own
        z = torch.randn(config.batch, config.z_dim, generator=torch_generator(config.seed, stream, step))
        labels = labels_like_data(self.images, config.seed, stream, step, config.batch, config.class_balance)
        return Latents(own(z).to(self.device), one_hot(own(labels), self.class_count).to(self.device))


def sampling(config: TrainConfig) -> Sampling:
    """How `config` wants the images to be shown."""
    return Sampling(config.seed, config.class_balance, config.x_flips, config.quarter_turns)


def batches_of(
    config: TrainConfig, images: ImageZip, share: Share, class_count: int, device: torch.device
) -> BatchStream:
    """The minibatches of one process; close it when done."""
    workers = (2 if device.type == 'cuda' else 0) if config.workers is None else config.workers
    return BatchStream(
        images, sampling(config), batch=config.batch, class_count=class_count, rows=share.rows, workers=workers
    )
