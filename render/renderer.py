"""Turns a request into a result. Owns the models. No window, no files, no threads."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from analysis.picture_error import CannotCompare, PictureError, picture_error
from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from networks.sampling import seed_to_z
from ops.backend import kernel_notes, note_usage
from ops.fast_cpu import library
from render import interop, metering
from render.capture import never, run_to
from render.filters import Edited, edited, filter_curves
from render.graphs import CudaRecorder, GraphCache, Replay, ReplayMapping
from render.memo import Memo
from render.models import ModelStore, device_title
from render.pacing import Pacing
from render.parts import Parts
from render.request import IDENTITY, FilterSpec, LatentSpec, ModelKey, RenderRequest, SpectrumSpec, SynthesisSpec
from render.rescue import Rescue
from render.result import FilterCurve, RenderResult, Spectrum, Statistics
from render.views import picture, power_of, spectrum_of_power, statistics_of
from render.worker import Abandoned, IsStale

_QUICK = 0.03
"""Seconds. A picture that takes less is not worth abandoning half-way, and quicker where nobody looks after each layer."""

Noted = tuple[Tensor, tuple[str, ...]]
"""A tensor, and notes on how it came about."""


@dataclass(frozen=True, slots=True)
class Activation:
    """What the network made."""

    x: Tensor
    """[channels, height, width]."""
    notes: tuple[str, ...]
    number: int
    """Different for every one that was computed: what is derived from it is remembered under this."""
    provisional: bool
    """Some operators ran without the kernel that was being compiled for them: the last bits will differ."""
    operators: tuple[str, ...]
    """Who ran them."""


Stage = tuple[ModelKey, LatentSpec, SynthesisSpec]


class Renderer:
    """Request in, result out; equal requests give bit-identical results.

    Three stages, each remembering its last values: latents (model, latent), activation (and synthesis), and what is read
    from the activation: scrolling through channels or turning the gain runs no network.
    """

    def __init__(self, models: ModelStore, *, wait_for_kernels: bool = True, repeats_first: bool = False):
        """`wait_for_kernels`: let the first picture of a new kind wait until its operators are compiled. Without, it is
        there at once, its result is `provisional`, and rendering it again when `is_settled()` gives the last bits.
        `repeats_first`: make quick first pictures a few times, so that their time is that of the next ones."""
        self.models = models
        self.wait_for_kernels = wait_for_kernels
        self.latents: Memo[tuple[ModelKey, LatentSpec], Noted] = Memo()
        self.activations: Memo[Stage, Activation] = Memo()
        self.references: Memo[Stage, Activation] = Memo()
        """Pictures that are not moved, for the meter."""
        self.syntheses = 0
        """How often a network ran for a picture."""
        self._operators: tuple[str, ...] = ()
        self._errors: Memo[tuple[int, int], PictureError | CannotCompare] = Memo()
        self._powers: Memo[tuple[int, SpectrumSpec], Spectrum] = Memo()
        self._statistics: Memo[int, Statistics] = Memo()
        self._curves: Memo[tuple[object, ...], tuple[FilterCurve, ...]] = Memo()
        self._edited: WeakKeyDictionary[Inspectable, Memo[FilterSpec, Edited]] = WeakKeyDictionary()
        self._seconds: WeakKeyDictionary[Inspectable, tuple[str | None, float]] = WeakKeyDictionary()
        """Of each generator: which layer was shown last, None for the image, and how long its network ran."""
        self._parts, self._pacing = Parts(), Pacing(repeats=repeats_first)
        self._graphs = GraphCache(CudaRecorder())
        self._rescue = Rescue(models, self._forget)

    def adapter(self, request: RenderRequest) -> Inspectable:
        """The generator of `request` with the filters it asks for: what every measurement looks into.

        Raises `BadFile` if the model cannot be had.
        """
        return self._adapter(request)[0]

    def _adapter(self, request: RenderRequest) -> Edited:
        """`adapter`, and what of the changes could not be done."""
        base, spec = self.models.get(request.model), request.synthesis.filters
        if spec == FilterSpec() or 'filters' not in base.info.capabilities:
            return edited(base, spec)  # itself: to remember it would keep it alive when it is closed
        memo = self._edited.setdefault(base, Memo())
        return memo.get(spec, lambda: edited(base, spec))

    def render(self, request: RenderRequest, is_stale: IsStale = never) -> RenderResult:
        """The answer to `request`. Raises `Abandoned` once `is_stale()`, `BadFile` if the model cannot be had,
        `ValueError` for what it does not have."""
        stage = request.model, request.latent, request.synthesis

        def paced() -> RenderResult:
            render, forget = partial(self._render, request, is_stale), partial(self.activations.forget, stage)
            return self._pacing.run(self.models.get(request.model), render, forget, is_stale)

        return self._rescue.run(paced)

    def _render(self, request: RenderRequest, is_stale: IsStale) -> RenderResult:
        started, before = time.perf_counter(), self.syntheses
        whole, changes = self._adapter(request)
        adapter, request = self._parts.choose(whole, request)
        with torch.inference_mode():
            activation = self._activation(adapter, request, is_stale)
            _check(is_stale)
            result = self._parts.described(self._view(adapter, request, activation, is_stale), whole)
        on_what = (*self._device_notes(), *activation.operators, *_kernel_notes())
        return replace(
            result,
            notes=(*changes, *activation.notes, *result.notes, *on_what),
            device=device_title(self.models.device),
            provisional=activation.provisional,
            seconds=time.perf_counter() - started,
            pace='remembered' if self.syntheses == before else 'steady',
        )

    def is_settled(self) -> bool:
        """Whether no kernel is being compiled, so that a provisional picture can be made for good."""
        return library.wait(0)

    def tensor(self, request: RenderRequest, is_stale: IsStale = never) -> Tensor:
        """The tensor that `request` shows, [channels, height, width] as the network made it. It must not be changed."""

        def run() -> Tensor:
            with torch.inference_mode():
                return self._activation(self.adapter(request), request, is_stale).x

        return self._rescue.run(run)

    def _forget(self) -> None:
        """Drop everything on the device that can be computed again."""
        memos = self.latents, self.activations, self.references, self._errors, self._powers, self._statistics
        for memo in memos:
            memo.clear()
        self._edited.clear()
        self._parts.clear()
        self._graphs.clear()

    def _device_notes(self) -> tuple[str, ...]:
        """What happened to the device, and whether pictures are replayed, for the performance panel."""
        graphs = self._graphs.note() if self.models.device.type == 'cuda' else ''
        return tuple(note for note in (graphs, interop.note(), self._rescue.note or self.models.note) if note)

    def power(self, request: RenderRequest, is_stale: IsStale = never) -> Tensor:
        """Power spectrum [height, width] of what `request` shows. For averages: what the view remembers stays."""
        adapter, latent, synthesis = self.adapter(request), request.latent, request.synthesis
        with torch.inference_mode():
            ws, _ = make_latents(adapter, latent)
            with self._kernels():
                x, _ = synthesize(adapter, ws, synthesis, is_stale)
            return power_of(x, request.view.spectrum or SpectrumSpec())

    def layer_of(self, request: RenderRequest) -> LayerInfo | None:
        """The layer that `request` shows; None for the image."""
        return _layer(self.adapter(request), request.synthesis.layer)

    def rate_of(self, request: RenderRequest, width: int) -> float:
        """Samples per image width of what `request` shows, which is `width` samples wide."""
        layer = self.layer_of(request)
        return _rate(layer, width)

    @contextmanager
    def _kernels(self) -> Iterator[None]:
        """Within the block, operators wait for their kernels, if that is wanted and kernels are not switched off."""
        if not self.wait_for_kernels or library.policy() == 'off':
            yield
            return
        library.wait()  # what was asked for before would otherwise still be declined
        with library.use_policy('wait'):
            yield

    def _activation(
        self,
        adapter: Inspectable,
        request: RenderRequest,
        is_stale: IsStale,
        memo: Memo[Stage, Activation] | None = None,
    ) -> Activation:
        """What the network makes for `request`; a provisional one is made again once that is possible."""
        model, latent, synthesis = request.model, request.latent, request.synthesis

        def compute() -> Activation:
            settled, asked = self.is_settled(), library.asked()
            mapping = self._graphs.for_mapping(request, adapter.info, self.models)
            ws, notes = self.latents.get((model, latent), lambda: make_latents(adapter, latent, mapping))
            with self._kernels(), note_usage() as used:
                replay = self._graphs.for_picture(request, adapter.info, self.models)
                shown, seconds = self._seconds.get(adapter, (None, _QUICK))
                is_quick, started = shown == synthesis.layer and seconds < _QUICK, time.perf_counter()
                x, more = synthesize(adapter, ws, synthesis, never if is_quick else is_stale, replay)
                self._seconds[adapter] = (synthesis.layer, time.perf_counter() - started)
            provisional = not (settled and library.had_all_since(asked)) and not self.wait_for_kernels
            self.syntheses += 1
            self._operators = used.notes() or self._operators  # none are called when a graph is replayed
            return Activation(x, (*notes, *more), self.syntheses, provisional, self._operators)

        def is_good(found: Activation) -> bool:
            return not (found.provisional and self.is_settled())

        return (memo or self.activations).get((model, latent, synthesis), compute, is_good=is_good)

    def _error(
        self, adapter: Inspectable, request: RenderRequest, activation: Activation, is_stale: IsStale
    ) -> PictureError | CannotCompare:
        """The error of a picture against its reference; one more synthesis only where the latter is not at hand."""
        still = replace(request, synthesis=replace(request.synthesis, transform=IDENTITY))
        try:
            if request == still and not activation.provisional:
                # The drag that may follow then begins with its reference at hand.
                self.references.get((request.model, request.latent, request.synthesis), lambda: activation)
            metering.check_measurable(adapter.info, request)
            reference = self._activation(adapter, still, is_stale, self.references)
            _check(is_stale)
            key = (reference.number, activation.number)
            rows = request.synthesis.transform
            return self._errors.get(key, lambda: picture_error(reference.x, activation.x, rows))
        except CannotCompare as reason:
            return reason

    def _view(
        self, adapter: Inspectable, request: RenderRequest, activation: Activation, is_stale: IsStale
    ) -> RenderResult:
        x, number = activation.x, activation.number
        view, layer = request.view, _layer(adapter, request.synthesis.layer)
        rate = _rate(layer, x.shape[-1])
        spectrum, spec = None, view.spectrum
        if spec is not None:
            spectrum = self._powers.get((number, spec), lambda: spectrum_of_power(power_of(x, spec), rate))
        _check(is_stale)
        error = self._error(adapter, request, activation, is_stale) if metering.wants_error(view) else None
        if view.error_map and isinstance(error, PictureError):
            shown = metering.error_picture(error, x, view)
        else:
            moved = request.synthesis.transform if 'transform' in adapter.info.capabilities else IDENTITY
            shown = picture(x, view, transform=moved, rate=rate)
        return RenderResult(
            request,
            image=shown.image,
            values=shown.values,
            layer=layer,
            spectrum=spectrum,
            curves=self._response(adapter, request),
            statistics=self._statistics.get(number, lambda: statistics_of(x)),
            equivariance=metering.reading_of(error, adapter.info, request),
            model=self.models.get(request.model).info,
            notes=shown.notes,
        )

    def _response(self, adapter: Inspectable, request: RenderRequest) -> tuple[FilterCurve, ...]:
        name = request.view.response_layer
        if name is None:
            return ()
        key = (request.model, name, request.synthesis.filters)
        return self._curves.get(key, lambda: filter_curves(self.models.get(request.model), adapter, name))


def make_latents(adapter: Inspectable, spec: LatentSpec, replay: ReplayMapping | None = None) -> Noted:
    """Latents [1, num_ws, w_dim] of a point: the weighted sum of the seeds' latents, then mixing, then truncation.

    What the generator cannot do is left out and said in the notes. Raises `ValueError` for a class it does not have.
    """
    info, notes = adapter.info, []
    class_index = spec.class_index
    if class_index is not None and 'classes' not in info.capabilities:
        notes.append(f'The class is not used: {info.why_not("classes")}')
        class_index = None
    if class_index is not None and not 0 <= class_index < info.class_count:
        raise ValueError(f'This generator has the classes 0 to {info.class_count - 1}, so there is no {class_index}.')
    seeds = [seed for seed, _ in spec.seeds]
    z = _z(seeds, info.z_dim)
    rows = adapter.latents(z, class_index) if replay is None else replay(adapter.latents, z, class_index)
    weights = torch.tensor([weight for _, weight in spec.seeds], dtype=rows.dtype, device=rows.device)
    ws = rows if spec.seeds == ((seeds[0], 1.0),) else (rows * weights[:, None, None]).sum(0, keepdim=True)
    if spec.mix_seed is not None and spec.mix_layers:
        ws = _mixed(adapter, ws, spec, class_index, notes)
    if spec.truncation != 1:
        ws = _truncated(adapter, ws, spec, notes)
    return ws, tuple(notes)


def synthesize(
    adapter: Inspectable, ws: Tensor, spec: SynthesisSpec, is_stale: IsStale = never, replay: Replay | None = None
) -> Noted:
    """The tensor [channels, height, width] that the request shows, of latents [1, num_ws, w_dim]; layers after it do not
    run. Raises `Abandoned` once `is_stale()`, `ValueError` for a layer that it does not have. `replay`: runs it in one go."""
    adapter, notes = edited(adapter, spec.filters)
    overrides: Mapping[str, Tensor] = {}
    if spec.transform != IDENTITY and 'transform' in adapter.info.capabilities:
        a, b, x, c, d, y = spec.transform
        matrix = torch.tensor([[a, b, x], [c, d, y], [0, 0, 1]], dtype=torch.float64)
        overrides = adapter.transform(matrix)
    elif spec.transform != IDENTITY:
        notes = (*notes, f'The picture is not moved: {adapter.info.why_not("transform")}')
    options: dict[str, Any] = {'noise': spec.noise, 'noise_seed': spec.noise_seed}
    options['float32'] = spec.precision == 'float32'

    def run(ws: Tensor, overrides: Mapping[str, Tensor]) -> Tensor:
        return adapter.synthesize(ws, overrides, **options)

    output = (
        replay(run, ws, overrides)
        if replay is not None
        else run_to(
            adapter.module,
            lambda: run(ws, overrides),
            spec.layer,
            edits=spec.edits,
            watch=[] if is_stale is never else [_module_name(layer) for layer in adapter.info.layers],
            is_stale=is_stale,
        )
    )
    if output.ndim != 4:
        raise ValueError(
            f'The layer {spec.layer!r} yields {tuple(output.shape)}, which is not a picture; choose another.'
        )
    return output[0], notes


def _mixed(adapter: Inspectable, ws: Tensor, spec: LatentSpec, class_index: int | None, notes: list[str]) -> Tensor:
    """`ws` with some rows of another seed's latent."""
    info = adapter.info
    if 'style_mixing' not in info.capabilities:
        notes.append(f'Styles are not mixed: {info.why_not("style_mixing")}')
        return ws
    rows = [row for row in spec.mix_layers if 0 <= row < ws.shape[1]]
    if len(rows) < len(spec.mix_layers):
        notes.append(f'Styles are mixed in {len(rows)} of {len(spec.mix_layers)} layers: there are only {ws.shape[1]}.')
    if spec.mix_seed is None or not rows:
        return ws
    other = adapter.latents(_z([spec.mix_seed], info.z_dim), class_index)
    ws = ws.clone()
    ws[:, rows] = other[:, rows]
    return ws


def _truncated(adapter: Inspectable, ws: Tensor, spec: LatentSpec, notes: list[str]) -> Tensor:
    """`ws` moved towards the average latent: w_avg + psi (w - w_avg) (Karras et al. 2019, Sec. 3 and App. B)."""
    average = adapter.average() if 'truncation' in adapter.info.capabilities else None
    if average is None:
        notes.append(f'The latent is not truncated: {adapter.info.why_not("truncation")}')
        return ws
    count = ws.shape[1] if spec.truncation_layers is None else min(max(spec.truncation_layers, 0), ws.shape[1])
    average = average.to(ws.device, ws.dtype)
    ws = ws.clone()
    ws[:, :count] = average + spec.truncation * (ws[:, :count] - average)
    return ws


def _z(seeds: list[int], z_dim: int) -> Tensor:
    """[seeds, z_dim], float32."""
    return torch.cat([seed_to_z(seed, z_dim) for seed in seeds]).to(torch.float32)


def _module_name(layer: LayerInfo) -> str:
    """Of the module whose output it is."""
    return layer.name.partition('#')[0].partition(':')[0]


def _layer(adapter: Inspectable, name: str | None) -> LayerInfo | None:
    return None if name is None else adapter.info.layer(name)


def _rate(layer: LayerInfo | None, width: int) -> float:
    """Samples per image width: the layer's own; without one, the array is as wide as the image."""
    return float(width) if layer is None or layer.rate is None else float(layer.rate)


def _check(is_stale: IsStale) -> None:
    if is_stale():
        raise Abandoned


def _kernel_notes() -> tuple[str, ...]:
    """What compiled the operators, for the performance panel."""
    return tuple(f'{name}: {text}' for name, text in kernel_notes().items())
