"""Looking into a running module: what comes back, and that nothing stays behind."""

import pytest
import torch
from torch import nn

from render.capture import StopForward, observe, run_to
from render.request import LayerEdit
from render.worker import Abandoned


class Twice(nn.Module):
    """Runs one submodule twice, and one that yields two tensors."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Conv2d(2, 2, 1, bias=False)
        self.scale.weight.data = 2 * torch.eye(2)[:, :, None, None]
        self.pair = Pair()
        self.last = nn.Identity()
        self.ran_last = 0

    def forward(self, x):
        x = self.scale(self.scale(x))
        left, right = self.pair(x)
        self.ran_last += 1
        return self.last(left + right)


class Pair(nn.Module):
    def forward(self, x):
        return x + 1, x - 3


@pytest.fixture
def module():
    return Twice()


def hooks(module: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in module.modules())


X = torch.ones(1, 2, 3, 3)


@pytest.mark.parametrize(
    ('layer', 'value'), [(None, 6.0), ('scale', 2.0), ('scale#2', 4.0), ('pair', 5.0), ('pair:1', 1.0), ('last', 6.0)]
)
def test_each_output_can_be_captured(module: Twice, layer: str | None, value: float):
    assert torch.equal(run_to(module, lambda: module(X), layer), torch.full([1, 2, 3, 3], value))
    assert hooks(module) == 0


def test_layers_after_the_wanted_one_do_not_run(module: Twice):
    run_to(module, lambda: module(X), 'scale#2')
    assert module.ran_last == 0


def test_an_edit_goes_on(module: Twice):
    edited = run_to(module, lambda: module(X), None, edits=[LayerEdit('scale', channel=1, scale=0.0)])
    assert torch.equal(edited[0, 0], torch.full([3, 3], 6.0)) and torch.equal(edited[0, 1], torch.full([3, 3], -2.0))


def test_an_edit_of_all_channels_and_one_of_several_outputs(module: Twice):
    edited = run_to(module, lambda: module(X), None, edits=[LayerEdit('pair:1', scale=10.0)])
    assert torch.equal(edited, torch.full([1, 2, 3, 3], 5.0 + 10.0))


def test_the_edited_layer_itself_is_shown_edited(module: Twice):
    edits = [LayerEdit('scale', scale=0.5), LayerEdit('scale', scale=3.0)]
    assert torch.equal(run_to(module, lambda: module(X), 'scale', edits=edits), torch.full([1, 2, 3, 3], 3.0))


def test_a_layer_that_does_not_exist_is_named(module: Twice):
    with pytest.raises(ValueError, match="'nothing'"):
        run_to(module, lambda: module(X), 'nothing')
    assert hooks(module) == 0


def test_a_run_that_does_not_happen_is_named(module: Twice):
    with pytest.raises(ValueError, match=r"'scale#3' did not run"):
        run_to(module, lambda: module(X), 'scale#3')


def test_a_channel_that_does_not_exist_is_named(module: Twice):
    with pytest.raises(ValueError, match='has 2 channels'):
        run_to(module, lambda: module(X), None, edits=[LayerEdit('scale', channel=2)])


def test_a_stale_render_stops_at_the_next_layer(module: Twice):
    asked = []

    def is_stale() -> bool:
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(Abandoned):
        run_to(module, lambda: module(X), None, watch=['scale', 'pair', 'last'], is_stale=is_stale)
    assert module.ran_last == 0 and len(asked) == 2 and hooks(module) == 0


def test_no_hook_survives_an_exception(module: Twice):
    with pytest.raises(RuntimeError):
        run_to(module, lambda: module(torch.ones(1, 5, 3, 3)), 'last', watch=['scale'])
    assert hooks(module) == 0
    with pytest.raises(KeyError), observe(module, ['scale', 'pair'], lambda name, output: None):
        raise KeyError
    assert hooks(module) == 0


def test_a_hook_that_stops_leaves_with_its_output(module: Twice):
    def stop(name, output):
        raise StopForward(output)

    with pytest.raises(StopForward) as found, observe(module, ['scale'], stop):
        module(X)
    assert torch.equal(found.value.output, 2 * X)
