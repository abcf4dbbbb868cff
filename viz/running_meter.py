"""The paper's metrics over the pictures that were seen while dragging. Frozen values; nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from render.measures import Metric
from render.request import IDENTITY, LatentSpec, RenderRequest, SynthesisSpec, ViewSpec
from render.result import Equivariance, RenderResult

DYNAMIC_RANGE_DB = 20 * math.log10(2)
"""Of pictures from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Squared errors of several pictures, pooled before the logarithm as in the paper (Eq. 3)."""

    squared: float = 0.0
    count: float = 0.0
    pictures: int = 0
    lowest: float = math.inf
    """Of single pictures, in dB."""
    highest: float = -math.inf

    @property
    def decibels(self) -> float:
        """NaN without a picture, infinite without any error."""
        if not self.count:
            return math.nan
        return math.inf if self.squared == 0 else DYNAMIC_RANGE_DB - 10 * math.log10(self.squared / self.count)

    def added(self, reading: Equivariance) -> Pool:
        """With one more picture."""
        return Pool(
            self.squared + reading.squared,
            self.count + reading.count,
            self.pictures + 1,
            min(self.lowest, reading.decibels),
            max(self.highest, reading.decibels),
        )


@dataclass(frozen=True, slots=True)
class RunningMeter:
    """What was seen since the last reset."""

    pools: Mapping[Metric, Pool] = field(default_factory=lambda: MappingProxyType({}))
    subject: RenderRequest | None = None
    """Of what all of it is (see `subject_of`)."""
    last: tuple[LatentSpec, SynthesisSpec] | None = None
    """The newest picture: looked at in another way it is not counted again."""

    def seen(self, result: RenderResult) -> RunningMeter:
        """With one more answer; begun anew if it is of something else. The same object if it holds nothing new."""
        request, reading = result.request, result.equivariance
        subject = subject_of(request)
        meter = self if subject == self.subject else RunningMeter(subject=subject)
        picture = (request.latent, request.synthesis)
        if reading is None or reading.metric is None or picture == meter.last:
            return meter
        pool = meter.pools.get(reading.metric, Pool()).added(reading)
        return replace(meter, pools=MappingProxyType({**meter.pools, reading.metric: pool}), last=picture)

    def cleared(self) -> RunningMeter:
        """Without what was seen; the picture that is shown is not counted again."""
        return replace(self, pools=MappingProxyType({}))


def subject_of(request: RenderRequest) -> RenderRequest:
    """`request` with everything reset that pictures may differ in and still be samples of the same metric: seeds, noise,
    transform, and how it is looked at. Model, truncation, mixing, class, filters, precision stay."""
    latent = replace(request.latent, seeds=((0, 1.0),))
    synthesis = replace(request.synthesis, transform=IDENTITY, noise_seed=0, layer=None)
    return replace(request, latent=latent, synthesis=synthesis, view=ViewSpec())
