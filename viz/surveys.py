"""What views measure by themselves while they are looked at: spectra of stages and layers, channels in order. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from render.request import LatentSpec, ModelKey, RenderRequest, SynthesisSpec, ViewSpec
from render.session import SideName

What = Literal['stages', 'budgets', 'waterfall', 'triage']


@dataclass(frozen=True, slots=True)
class Survey:
    """A view's wish to have this measured of the active side; uttered in every frame in which the view is drawn.

    It is measured once nothing has changed for a moment, and again when something changes that it depends on.
    """

    what: What
    samples: int = 1
    """Latents."""
    real: str = ''
    """Folder or ZIP of pictures to compare with."""
    aliasing: bool = True
    """With the alias leak of each channel, which takes longest."""


@dataclass(frozen=True, slots=True)
class CancelSurvey:
    """Stop measuring; what is known stays, and it does not start again before something changes."""

    what: What


@dataclass(frozen=True, slots=True)
class RepeatSurvey:
    """Measure what was stopped, or failed, once more."""

    what: What


@dataclass(frozen=True, slots=True)
class ChooseReal:
    """Compare with the pictures in this folder or ZIP; with '', with none."""

    path: str


SurveyCommand = Survey | CancelSurvey | RepeatSurvey | ChooseReal


@dataclass(frozen=True, slots=True)
class Subject:
    """What an outcome depends on."""

    survey: Survey
    request: RenderRequest
    """With everything reset that does not matter, see `subject_of`."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One measurement of one side: what is known, what is coming, what went wrong."""

    value: Any = field(default=None, compare=False)
    """A value of `render.measures`; of an older subject until the new one is there."""
    subject: Subject | None = None
    """What `value` is about."""
    is_whole: bool = False
    wanted: Subject | None = None
    """What the view asked for last."""
    running: Subject | None = None
    fraction: float = 0.0
    text: str = ''
    ended: Subject | None = None
    """What was stopped by the user, or failed."""
    error: str = ''
    """Why, if it failed."""

    @property
    def is_current(self) -> bool:
        """Whether `value` is about what is wanted now."""
        return self.value is not None and self.subject == self.wanted

    @property
    def complaint(self) -> str:
        """Why what is wanted cannot be had; empty if it is not known to be so."""
        return self.error if self.ended is not None and self.ended == self.wanted else ''

    @property
    def was_stopped(self) -> bool:
        """Whether the user stopped what is wanted now."""
        return self.ended is not None and self.ended == self.wanted and not self.error

    def has_tried(self, subject: Subject) -> bool:
        """Whether there is nothing to start for `subject`: it is known, on its way, or was given up."""
        return (self.subject == subject and self.is_whole) or subject in (self.running, self.ended)


@dataclass(frozen=True, slots=True)
class Charts:
    """All measurements of one side."""

    model: ModelKey | None = None
    charts: Mapping[What, Chart] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, what: What) -> Chart:
        """One of them."""
        return self.charts.get(what, Chart())

    def with_chart(self, what: What, chart: Chart) -> Charts:
        """With that knowledge; the same object if nothing is new."""
        if self.charts.get(what) is chart:
            return self
        return replace(self, charts=MappingProxyType({**self.charts, what: chart}))


@dataclass(frozen=True, slots=True)
class Surveys:
    """Both sides."""

    a: Charts = Charts()
    b: Charts = Charts()
    real: str = ''
    """Folder or ZIP of pictures to compare with. Not in the session: a session of someone else's names no paths to read."""

    def side(self, name: SideName) -> Charts:
        """What is known about that side."""
        return self.b if name == 'b' else self.a

    def with_side(self, name: SideName, charts: Charts) -> Surveys:
        """With that knowledge about one side."""
        if charts is self.side(name):
            return self
        return replace(self, b=charts) if name == 'b' else replace(self, a=charts)


def subject_of(survey: Survey, request: RenderRequest) -> Subject:
    """What the outcome of `survey` depends on of what is asked for now.

    Stages are those of the shown latent and layer; a triage is of the shown layer; all else is of latents of its own and of
    every layer. Moving the picture changes none of them: the input is measured where it rests.
    """
    shown = request.synthesis
    noise = 'constant' if shown.noise == 'random' else shown.noise  # as the measurements have it
    layer = shown.layer if survey.what in ('stages', 'triage') else None
    synthesis = SynthesisSpec(filters=shown.filters, noise=noise, precision=shown.precision, layer=layer)
    latent = request.latent
    if survey.what != 'stages':
        latent = replace(latent, seeds=LatentSpec().seeds)
    return Subject(survey, replace(request, latent=latent, synthesis=synthesis, view=ViewSpec()))
