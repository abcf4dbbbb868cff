"""The generator of the package random-face through the renderer: pictures, and what Diagnose says about it."""

from pathlib import Path

import numpy as np
import pytest

from render.jobs import run_to_end
from render.jobs_diagnose import diagnose
from render.jobs_measure import fixed_patterns, walk_strip
from render.models import ModelStore
from render.renderer import Renderer
from render.request import RenderRequest, SynthesisSpec
from tests.networks.small_ir import install


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Renderer, RenderRequest]:
    """A renderer that holds the small stand-in for the package's network."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    renderer = Renderer(ModelStore())
    key, _ = renderer.models.open('random-face:')
    return renderer, RenderRequest(key)


def test_it_is_identified_by_its_weights_and_opened_again_without_code(opened, tmp_path: Path):
    renderer, request = opened
    assert request.model.path == 'random-face:' and len(request.model.sha256) == 64
    fresh = Renderer(ModelStore())  # as from a session file, where code is never run
    assert np.array_equal(fresh.render(request).image, renderer.render(request).image)


def test_layers_can_be_shown_and_noise_left_out(opened):
    renderer, request = opened
    layer = renderer.render(RenderRequest(request.model, synthesis=SynthesisSpec(layer='synthesis.L4_8_up')))
    assert layer.layer is not None and layer.layer.width == 8
    quiet = renderer.render(RenderRequest(request.model, synthesis=SynthesisSpec(noise='none')))
    assert not np.array_equal(quiet.image, renderer.render(request).image)


def test_what_holds_without_a_transform_is_measured(opened):
    renderer, request = opened
    found = run_to_end(diagnose(renderer, request=request, samples=2))
    assert found.state == 'defects'
    causes = {one.cause: one.layer for one in found.findings}
    assert (
        causes['border'] == 'L1_4_conv' and causes['up-filter'] == 'L4_8_up' and causes['nonlinearity'] == 'L3_4_relu'
    )
    assert any('cannot be moved' in note for note in found.notes)
    patterns = run_to_end(fixed_patterns(renderer, request=request, samples=2))
    assert [row.label for row in patterns.rows][-1] == 'image' and not patterns.moved
    strip = run_to_end(walk_strip(renderer, request=request, frames=3, stops=2))
    assert strip.image.shape == (3, 8, 3)
