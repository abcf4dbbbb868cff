"""`diagnose` on whole networks: planted defects are named, healthy ones are not, bad input is said in a sentence."""

import json
import math
import random
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.planted import Plan, Planted, build
from networks.adapters.wrap import wrap
from networks.stylegan3 import SynthesisLayer
from ops.bias_act import bias_act
from ops.modulated_conv2d import modulated_conv2d
from render.diagnosis import Diagnosis, LayerHealth, to_json, to_text
from render.jobs import run_to_end
from render.jobs_diagnose import AS_CHANGED, diagnose
from render.models import ModelStore
from render.renderer import Renderer
from render.report_html import html_report
from render.request import FilterSpec, ModelKey, RenderRequest, SynthesisSpec
from tests.networks.small import small_stylegan2

KEY = ModelKey('test', 'test')


def examine(module: nn.Module, **options: int) -> Diagnosis:
    store = ModelStore('cpu')
    store.put(KEY, wrap(module))
    return run_to_end(diagnose(Renderer(store), request=RenderRequest(KEY), **{'samples': 1, **options}))


def small(rung: str, cause: str | None, position: str = 'middle', seed: int = 1) -> Planted:
    return build(Plan(rung, cause, position, seed), size=32, channels=8, num_layers=8)


@pytest.mark.parametrize('rung', ['T', 'R'])
def test_a_healthy_network_raises_no_alarm(rung: str):
    found = examine(small(rung, None).generator)
    assert (found.state, found.findings) == ('healthy', ())
    assert found.numbers and AS_CHANGED not in found.verdict
    assert all(layer.noise_db < -100 for layer in found.layers)


@pytest.mark.parametrize(
    ('rung', 'cause', 'position'),
    [
        ('T', 'noise', 'early'),
        ('R', 'border', 'middle'),
        ('T', 'up-filter', 'late'),
        ('R', 'down-filter', 'early'),
        ('T', 'nonlinearity', 'middle'),
        ('R', 'cutoff', 'early'),
        ('T', 'constant', 'early'),
        ('R', 'separable', 'middle'),
    ],
)
def test_a_planted_defect_is_named(rung: str, cause: str, position: str):
    planted = small(rung, cause, position, seed=4)
    found = examine(planted.generator).findings[0]
    labels = ['input', *planted.generator.synthesis.layer_names]
    assert found.cause == cause, planted.detail
    assert planted.layer is not None
    assert abs(labels.index(found.layer) - labels.index(planted.layer)) <= 1
    assert found.effects
    assert 0.5 <= found.confidence <= 1


def test_the_cure_is_applied_to_the_running_network_and_helps():
    finding = examine(small('T', 'noise', seed=4).generator).findings[0]
    picture = next(one for one in finding.effects if one.name.startswith('EQ-T'))
    answer = next(one for one in finding.effects if one.name.startswith('noise'))
    assert picture.after > picture.before + 10
    assert answer.before > -45
    assert answer.after < -100


def test_noise_that_a_hook_adds_is_found_too():
    generator = small('T', None).generator
    layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[3])
    pattern = 0.2 * torch.randn(1, 1, layer.record.size, layer.record.size)
    layer.register_forward_hook(lambda module, inputs, output: output + pattern)
    found = examine(generator).findings
    assert [(one.cause, one.layer) for one in found] == [('noise', layer.record.name)]


class BareLayer(SynthesisLayer):
    """Says that it oversamples, and does not."""

    def forward(self, x: torch.Tensor, w: torch.Tensor, **options: Any) -> torch.Tensor:
        x = modulated_conv2d(x, self.weight, self.affine(w), padding=1, input_gain=self.magnitude_ema.rsqrt())
        return bias_act(x, self.bias, act='lrelu', gain=2**0.5)


def test_a_layer_that_skips_its_filters_is_caught_by_what_it_computes():
    generator = small('T', None).generator
    layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[1])
    layer.__class__ = BareLayer
    finding = examine(generator).findings[0]
    assert (finding.cause, finding.layer) == ('nonlinearity', layer.record.name)
    assert finding.effects[0].after > finding.effects[0].before


def test_a_layer_that_computes_something_else_is_mentioned():
    generator = small('T', None).generator
    layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[1])
    layer.register_forward_hook(lambda module, inputs, output: output.abs())
    found = examine(generator)
    assert any(layer.record.name in note and 'something else' in note for note in found.notes)


def test_a_margin_of_zero_is_a_border_in_every_layer():
    finding = examine(
        build(Plan('T', None, '', 3), size=32, channels=8, num_layers=8, margin_size=0).generator
    ).findings[0]
    assert finding.cause == 'border'
    assert len(finding.layers) == 8
    picture = next(one for one in finding.effects if one.name.startswith('EQ-T'))
    assert picture.after > picture.before + 10


def test_filters_that_were_changed_are_judged_as_they_run():
    store = ModelStore('cpu')
    store.put(KEY, wrap(small('T', None).generator))
    changed = RenderRequest(KEY, synthesis=SynthesisSpec(filters=FilterSpec('nearest', 'up')))
    found = run_to_end(diagnose(Renderer(store), request=changed, samples=1))
    assert found.findings[0].cause == 'up-filter'
    assert AS_CHANGED in found.verdict


def test_nothing_in_the_network_is_changed():
    generator = small('R', 'cutoff', 'early', seed=4).generator
    records = [layer.record for layer in generator.synthesis.children() if hasattr(layer, 'record')]
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    examine(generator)
    assert [layer.record for layer in generator.synthesis.children() if hasattr(layer, 'record')] == records
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    assert not any(module._forward_hooks for module in generator.modules())


@pytest.fixture(scope='module')
def stylegan2() -> Diagnosis:
    return examine(small_stylegan2(resolution=32))


def test_stylegan2_has_no_transform_and_its_known_causes(stylegan2: Diagnosis):
    found = stylegan2
    assert {'noise', 'border', 'constant', 'nonlinearity', 'up-filter'} == {one.cause for one in found.findings}
    assert any('cannot be moved' in note for note in found.notes)
    noise = next(one for one in found.findings if one.cause == 'noise')
    assert noise.effects


def decoder() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 8 * 16 * 16),
        nn.Unflatten(1, (8, 16, 16)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 3, 1),
    )


def test_a_plain_decoder_is_judged_from_outside():
    found = examine(decoder())
    assert {(one.cause, one.layer) for one in found.findings} == {
        ('up-filter', '2'),
        ('border', '3'),
        ('nonlinearity', '4'),
    }
    assert any('no input that can be moved' in note for note in found.notes)


def test_a_layer_of_nans_is_named():
    generator = small('T', None).generator
    name = generator.synthesis.layer_names[2]
    generator.synthesis.get_submodule(name).bias.fill_(float('nan'))
    with pytest.raises(ValueError, match=f'{name} yields values that are not finite'):
        examine(generator)


def test_an_all_zero_layer_is_said_and_not_measured():
    generator = small('T', None).generator
    layer = generator.synthesis.get_submodule(generator.synthesis.layer_names[2])
    layer.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    found = examine(generator)
    assert any(layer.record.name in note and 'does not vary' in note for note in found.notes)
    assert found.state == 'unknown'


def test_a_diagnosis_needs_a_latent():
    with pytest.raises(ValueError, match='at least one latent'):
        examine(small('T', None).generator, samples=0)


class _Tags(HTMLParser):
    """Fails on tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ''
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or '' for name, value in attrs if name in ('src', 'href')]
        if tag != 'meta':
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or '' for name, value in attrs if name in ('src', 'href')]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_one_valid_page_with_every_finding(stylegan2: Diagnosis):
    found = stylegan2
    page = html_report(found)
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.links == []
    assert '<script' not in page
    assert '<svg' in page
    for finding in found.findings:
        assert finding.title in tags.text
        assert finding.cure in tags.text
    assert json.loads(json.dumps(to_json(found), allow_nan=False))['findings'][0]['cause'] == found.findings[0].cause
    assert any(found.findings[0].title in line for line in to_text(found))


def test_names_in_the_report_cannot_carry_markup():
    module = decoder()
    found = examine(module)
    hostile = Diagnosis('<script>alert(1)</script>', *[getattr(found, name) for name in found.__slots__[1:]])
    assert '<script' not in html_report(hostile)


def test_planting_is_repeatable():
    first, again = (small('R', 'down-filter', 'late', seed=9) for _ in range(2))
    assert (first.layer, first.detail) == (again.layer, again.detail)
    random.seed(1)
    assert small('R', 'down-filter', 'late', seed=9).detail == first.detail


def test_numbers_are_written_as_they_are_and_only_infinite_ones_replaced():
    layer = LayerHealth('up', 512.0, math.nan, -math.inf, 0.0, 0.0, 0.0, 0.0)
    found = to_json(Diagnosis('x', 'healthy', '', (), (layer,), (), (), 412.5))
    row = found['layers'][0]
    assert (row['rate'], row['noise_db'], row['border_db'], found['seconds']) == (512.0, None, -300.0, 412.5)
