"""Every filtered leaky ReLU of StyleGAN3-T and -R at 256 px by the PTX of its kernel, one channel, at its real size."""

import pytest
import torch

from networks.config import ladder_keywords
from networks.schedule import LayerRecord, make_schedule
from networks.stylegan3 import Generator
from ops.cuda import filtered_lrelu, launcher
from ops.filtered_lrelu import LreluSpec, filtered_lrelu_reference
from tests.ops import ptx_launch


def layers(rung: str) -> list[LayerRecord]:
    """Those that differ."""
    with torch.device('meta'):
        config = Generator(8, 0, 8, 256, 3, **{**ladder_keywords(rung, 256), 'channel_max': 4}).synthesis.config
    records = [record for record in make_schedule(256, 3, config).layers if record.up_taps > 1]
    kinds = {(one.size_in, one.size, one.up_factor, one.down_factor, one.radial): one for one in records}
    return list(kinds.values())


@pytest.mark.slow
@pytest.mark.parametrize('rung', ['T', 'R'])
def test_every_layer_at_its_real_size_equals_the_reference(rung: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launcher, 'launch', ptx_launch.launch)
    found = layers(rung)
    assert len(found) >= 6
    for record in found:
        up, down = record.up_filter(), record.down_filter()
        sides = record.padding(record.up_taps, record.down_taps)
        shapes = (tuple(up.shape), () if down is None else tuple(down.shape))
        spec = LreluSpec(
            record.up_factor, record.down_factor, (*sides, *sides), 2**0.5, 0.2, 256.0, False, *shapes, True, False
        )
        size = record.size_in + record.kernel - 1
        x, bias = torch.randn(1, 1, size, size), torch.randn(1)
        expected = filtered_lrelu_reference(x, up, down, bias, spec)
        ours = filtered_lrelu.filtered_lrelu(x, up, down, bias, spec)
        assert ours.shape[-1] == record.size
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
