"""A renderer without a network: a sum of waves that moves, turns and grows with the transform, exactly."""

from dataclasses import dataclass, field, replace

import numpy as np

from networks.bad_file import BadFile
from networks.info import FilterInfo, GeneratorInfo, LayerInfo
from render.request import ModelKey, RenderRequest
from render.result import FilterCurve, PartSize, RenderResult, Spectrum, Statistics
from render.sheet import sheet_layout

ALL = frozenset({'transform', 'filters', 'noise', 'truncation', 'style_mixing', 'classes'})
WAVES = 12
KEY = ModelKey('demo:', 'abc')


def make_layers(count: int = 14, resolution: int = 256, *, radial: bool = False) -> tuple[LayerInfo, ...]:
    """Layers like those of a StyleGAN3 generator: rates that double, margins of 10."""
    layers = [LayerInfo('synthesis.input', 'input', 64, 36, 36, rate=16.0, cutoff=2.0, stopband=6.0, margin=10)]
    for index in range(count):
        rate = min(16 * 2 ** (index // 3), resolution)
        cutoff, stopband = rate / 4 * (1 + index % 3 / 4), rate / 2.2 * (1 + index % 3 / 8)
        size, channels = rate + 20, max(64 // 2 ** (index // 3), 8)
        name = f'L{index}_{size}_{channels}'
        half_width = stopband - cutoff
        filters = tuple(
            FilterInfo(
                f'synthesis.{name}.{way}_filter', way, 2, 12, 2.0 * rate, cutoff, half_width, radial and way == 'down'
            )
            for way in ('up', 'down')
        )
        layers.append(
            LayerInfo(
                f'synthesis.{name}',
                name,
                channels,
                size,
                size,
                'float16' if index > 9 else 'float32',
                rate,
                cutoff,
                stopband,
                half_width,
                2,
                2,
                10,
                (index,),
                filters,
            )
        )
    return tuple(layers)


def make_info(**changes: object) -> GeneratorInfo:
    """A generator that can do everything."""
    info = GeneratorInfo(
        family='stylegan3',
        title='StyleGAN3-T 256 px',
        resolution=256,
        image_channels=3,
        z_dim=512,
        w_dim=512,
        num_ws=16,
        class_count=10,
        parameters=23_320_443,
        config=(
            ('channel_base', 16384),
            ('channel_max', 512),
            ('conv_kernel', 3),
            ('use_radial_filters', False),
            ('margin_size', 10),
            ('num_layers', 14),
        ),
        layers=make_layers(),
        capabilities=ALL,
        notes=('The file carries program text (3 parts, 93 kB); it was not run.',),
    )
    return replace(info, **changes)


def without(info: GeneratorInfo, *capabilities: str) -> GeneratorInfo:
    """The generator without some capabilities, each with its reason."""
    missing = tuple((name, f'It has no {name}.') for name in capabilities)
    return replace(info, capabilities=info.capabilities - set(capabilities), missing=missing)


@dataclass
class FakeModels:
    """Stands in for `render.models.ModelStore`."""

    infos: dict[str, GeneratorInfo] = field(default_factory=lambda: {'demo:': make_info()})
    opened: list[str] = field(default_factory=list)

    def open(self, path, network='G_ema', *, allow_code=False, on_progress=None):
        self.opened.append(path)
        if path not in self.infos:
            raise BadFile('missing', f'{path} does not exist; check the path.')
        if on_progress is not None:
            on_progress(0.5, 'Reading')
        return ModelKey(path, f'sha-{path}', network), self.infos[path]


class FakeRenderer:
    """Answers requests at once."""

    def __init__(self, infos: dict[str, GeneratorInfo] | None = None):
        self.models = FakeModels() if infos is None else FakeModels(infos)
        self.rendered: list[RenderRequest] = []
        self.fail_with: str | None = None
        self.seconds = 0.004
        """That each whole picture says it took; a part as much less as it promises."""
        self.part_sizes: tuple[PartSize, ...] = ()

    def is_settled(self) -> bool:
        """There is nothing to compile."""
        return True

    def render(self, request: RenderRequest, is_stale=lambda: False) -> RenderResult:
        self.rendered.append(request)
        if self.fail_with:
            raise ValueError(self.fail_with)
        info = self.models.infos.get(request.model.path)
        if info is None:
            raise BadFile('missing', f'{request.model.path} does not exist; check the path.')
        layer = info.layer(request.synthesis.layer) if request.synthesis.layer else None
        size, rate, margin = (
            (layer.width, layer.rate or info.resolution, layer.margin)
            if layer
            else (info.resolution, info.resolution, 0)
        )
        values = waves(request, size, rate, margin, layer.channels if layer else 3)
        image, shown = paint(request, values)
        seconds, part = self.seconds, request.synthesis.part
        if part is not None:
            cut = np.s_[part.top : part.top + part.height, part.left : part.left + part.width]
            image, shown = np.ascontiguousarray(image[cut]), shown[:, *cut]
            seconds /= next(size.gain for size in self.part_sizes if size.side == part.width)
        return RenderResult(
            request,
            image=image,
            values=shown,
            layer=layer,
            spectrum=make_spectrum(values, rate) if request.view.spectrum else None,
            curves=make_curves(info, request),
            model=info,
            seconds=seconds,
            part_sizes=self.part_sizes if part is None and layer is None else (),
            device='CPU',
            statistics=Statistics(
                values.shape,
                'float32',
                float(values.min()),
                float(values.max()),
                float(values.mean()),
                float(values.std()),
            ),
            notes=('filtered_lrelu: cpu (Numba, 2 threads)', 'upfirdn2d: reference (shape not supported: taps)'),
        )


def waves(request: RenderRequest, size: int, rate: float, margin: int, channels: int) -> np.ndarray:
    """[channels, size, size]: the same waves for the same seeds, moved by the transform."""
    a, b, tx, c, d, ty = request.synthesis.transform
    axis = (np.arange(size) - margin + 0.5) / (size - 2 * margin) - 0.5
    x, y = np.meshgrid(axis - tx, axis - ty)
    inverse = np.linalg.inv([[a, b], [c, d]])
    u, v = inverse[0, 0] * x + inverse[0, 1] * y, inverse[1, 0] * x + inverse[1, 1] * y
    result = np.zeros((channels, size, size))
    for seed, weight in request.latent.seeds:
        generator = np.random.default_rng(seed)
        frequencies = generator.uniform(-7, 7, (WAVES, 2))
        phases = generator.uniform(0, 2 * np.pi, WAVES)
        strengths = generator.normal(size=(max(channels, 3), WAVES))[:channels] * request.latent.truncation
        basis = np.sin(
            2 * np.pi * (frequencies[:, 0, None, None] * u + frequencies[:, 1, None, None] * v) + phases[:, None, None]
        )
        result += weight * np.tensordot(strengths, basis, 1) * 0.25
    return result.astype(np.float32)


def paint(request: RenderRequest, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture [h, w, 4] and the values under it, as the view of the request wants them."""
    view = request.view
    pixels = np.clip(values * 10 ** (view.gain_db / 20) * 127.5 + 128, 0, 255).astype(np.uint8)
    if view.mode == 'sheet':
        layout = sheet_layout(view, *values.shape)
        image = np.full((layout.height, layout.width, 4), 40, np.uint8)
        shown = np.full((1, layout.height, layout.width), np.nan, np.float32)
        for index in range(layout.count):
            top, left = layout.corner(index)
            cell = np.s_[top : top + layout.cell_height, left : left + layout.cell_width]
            image[cell] = pixels[layout.channel(index)][: layout.cell_height, : layout.cell_width, None]
            shown[0][cell] = values[layout.channel(index)][: layout.cell_height, : layout.cell_width]
        image[..., 3] = 255
        return image, shown
    wanted = [min(channel, len(values) - 1) for channel in view.channels[: 3 if view.mode == 'rgb' else 1]]
    image = np.full((*values.shape[1:], 4), 255, np.uint8)
    image[..., :3] = np.moveaxis(pixels[wanted], 0, -1) if len(wanted) == 3 else pixels[wanted[0]][..., None]
    if view.undo_transform and request.synthesis.transform[2]:
        image[:, : image.shape[1] // 6, 3] = 0
    return image, values[wanted]


def make_spectrum(values: np.ndarray, rate: float, samples: int = 1) -> Spectrum:
    """The power of the values, smooth enough for a plot."""
    size = values.shape[-1]
    window = np.kaiser(size, 8)
    power = (np.abs(np.fft.fft2(values * window[:, None] * window)) ** 2).mean(0) + 1e-6
    power_db = np.fft.fftshift(10 * np.log10(power / power.mean())).astype(np.float32)
    frequencies = np.arange(size // 2, dtype=np.float32) * np.float32(rate / size)
    axis = power_db[size // 2, size // 2 :][: len(frequencies)]
    diagonal = np.array(
        [power_db[size // 2 + round(i * 0.7071), size // 2 + round(i * 0.7071)] for i in range(len(frequencies))]
    )
    return Spectrum(
        power_db, rate / 2, frequencies, (axis + diagonal) / 2, axis.copy(), diagonal.astype(np.float32), samples
    )


def make_curves(info: GeneratorInfo, request: RenderRequest) -> tuple[FilterCurve, ...]:
    """Responses of a Kaiser-like and a triangle-like filter."""
    layer = info.layer(request.view.response_layer) if request.view.response_layer else None
    curves = []
    for entry in layer.filters if layer else ():
        frequencies = np.linspace(0, entry.rate / 2, 256, dtype=np.float32)
        own = -60 / (1 + np.exp(-(frequencies - entry.cutoff) * 6 / entry.half_width)) - 20 * (
            frequencies > entry.cutoff + entry.half_width
        )
        other = 20 * np.log10(np.maximum(np.sinc(frequencies / entry.cutoff / 2) ** 2, 1e-6))
        current = own if request.synthesis.filters.kind == 'network' else other
        curves.append(
            FilterCurve(
                entry.buffer,
                entry.direction,
                entry.rate,
                entry.cutoff,
                entry.half_width,
                frequencies,
                own.astype(np.float32),
                current.astype(np.float32),
                (0.1,) * entry.taps,
            )
        )
    return tuple(curves)
