"""Looks into any module while it runs: capture a layer, change it, stop there. No hook outlives the call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from render.request import LayerEdit
from render.worker import Abandoned, IsStale

OnOutput = Callable[[str, Any], Any]
"""(layer name, its output) -> None, or what goes on instead."""


class StopForward(Exception):
    """Raised inside a forward pass when the wanted layer was seen: later layers do not run."""

    def __init__(self, output: Any):
        super().__init__('the wanted layer was reached')
        self.output = output


def never() -> bool:
    """An `IsStale` that always says no."""
    return False


@contextmanager
def observe(module: nn.Module, names: Sequence[str], on_output: OnOutput) -> Iterator[None]:
    """Within the block, call `on_output` after each of the submodules `names`; the hooks are removed in any case.

    A submodule that runs again within the block is reported as 'name#2', 'name#3', … Raises `ValueError` for
    a name that the module does not have.
    """
    calls: dict[str, int] = {}

    def hook_for(name: str) -> Callable[..., Any]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return on_output(name if calls[name] == 1 else f'{name}#{calls[name]}', output)

        return hook

    with ExitStack() as stack:
        for name in dict.fromkeys(names):
            submodule = find(module, name)
            stack.callback(submodule.register_forward_hook(hook_for(name)).remove)
        yield


def find(module: nn.Module, name: str) -> nn.Module:
    """The submodule called `name`; `ValueError` with a sentence if there is none."""
    try:
        return module.get_submodule(name)
    except AttributeError:
        raise ValueError(f'This generator has no layer {name!r}; the layer list shows those it has.') from None


def run_to(
    module: nn.Module,
    call: Callable[[], Tensor],
    layer: str | None,
    *,
    edits: Sequence[LayerEdit] = (),
    watch: Sequence[str] = (),
    is_stale: IsStale = never,
) -> Tensor:
    """What `call()` returns, or the output of `layer` inside it, without running what comes after.

    `layer` and `LayerEdit.layer`: a submodule path, with '#2' for its second run and ':1' for the second of several
    outputs. `watch`: submodules after which `is_stale` is asked. Raises `Abandoned` when it says yes, `ValueError`
    for names that the module does not have or that did not run.
    """
    by_layer = _group(edits)
    wanted = None if layer is None else _split(layer)
    seen: set[str] = set()

    def on_output(name: str, output: Any) -> Any:
        if is_stale():
            raise Abandoned
        seen.add(name)
        changes = by_layer.get(name, ())
        for change in changes:
            output = _edited(output, change)
        if wanted is not None and wanted[0] == name:
            raise StopForward(_part(output, wanted[1], name))
        return output if changes else None

    names = [*watch, *(_module_name(name) for name in by_layer)]
    if wanted is not None:
        names.append(_module_name(wanted[0]))
    with observe(module, names, on_output):
        try:
            output = call()
        except StopForward as stop:
            return stop.output
    missed = [name for name in (*by_layer, *([wanted[0]] if wanted else [])) if name not in seen]
    if missed:
        raise ValueError(f'The layer {missed[0]!r} did not run in this pass; choose another one.')
    return output


def _split(layer: str) -> tuple[str, int | None]:
    """'name#2:1' -> ('name#2', 1); 'name' -> ('name', None)."""
    name, colon, index = layer.rpartition(':')
    return (name, int(index)) if colon and index.isdigit() else (layer, None)


def _module_name(name: str) -> str:
    """'name#2' -> 'name'."""
    base, mark, count = name.rpartition('#')
    return base if mark and count.isdigit() else name


def _group(edits: Sequence[LayerEdit]) -> dict[str, tuple[LayerEdit, ...]]:
    grouped: dict[str, tuple[LayerEdit, ...]] = {}
    for edit in edits:
        name = _split(edit.layer)[0]
        grouped[name] = (*grouped.get(name, ()), edit)
    return grouped


def _part(output: Any, index: int | None, name: str) -> Tensor:
    """The tensor that is meant: of several outputs number `index`, by default the first that is a tensor."""
    outputs = list(output) if isinstance(output, (tuple, list)) else [output]
    if index is not None:
        outputs = outputs[index : index + 1]
    found = next((one for one in outputs if isinstance(one, Tensor)), None)
    if found is None:
        raise ValueError(f'The layer {name!r} does not yield a tensor; choose another one.')
    return found


def _edited(output: Any, edit: LayerEdit) -> Any:
    """`output` with one channel, or all, scaled; the original is left alone."""
    tensor = _part(output, _split(edit.layer)[1], edit.layer)
    if edit.channel is None:
        changed = tensor * edit.scale
    elif 0 <= edit.channel < tensor.shape[1]:
        factors = torch.ones(tensor.shape[1], dtype=tensor.dtype, device=tensor.device)
        factors[edit.channel] = edit.scale
        changed = tensor * factors.view(1, -1, *[1] * (tensor.ndim - 2))
    else:
        raise ValueError(f'The layer {edit.layer!r} has {tensor.shape[1]} channels, so there is no {edit.channel}.')
    if not isinstance(output, (tuple, list)):
        return changed
    return type(output)(changed if one is tensor else one for one in output)
