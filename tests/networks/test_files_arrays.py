"""Weights that are pickled dictionaries of arrays."""

import os
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch

from networks.bad_file import BadFile
from networks.files.array_tree import read_arrays


def read(value: object, protocol: int = 4) -> dict[str, torch.Tensor]:
    return read_arrays(memoryview(pickle.dumps(value, protocol=protocol)))


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_arrays_come_back_under_their_keys(protocol: int):
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    half = np.asfortranarray(np.linspace(0, 1, 6, dtype=np.float16).reshape(2, 3))
    found = read({'first': {'kernel': kernel, 'inner': {'half': half}}}, protocol)
    assert list(found) == ['first/kernel', 'first/inner/half']
    assert torch.equal(found['first/kernel'], torch.from_numpy(kernel))
    assert torch.equal(found['first/inner/half'], torch.from_numpy(half.copy()))
    assert read({'empty': np.zeros((0, 2))})['empty'].shape == (0, 2)


class Command:
    """Runs a program when it is unpickled."""

    def __reduce__(self):
        return os.system, ('echo attacked > /tmp/attacked',)


def nested() -> dict:
    value: dict = {}
    value['again'] = value
    return value


@pytest.mark.parametrize(
    ('value', 'code'),
    [
        ({'a': Command()}, 'attack'),
        ({'a': np.array(['text'])}, 'malformed'),
        ({'a': np.array([{}], dtype=object)}, 'malformed'),
        ({'a': [np.zeros(2)]}, 'malformed'),
        ({'a/b': np.zeros(2)}, 'malformed'),
        ({'a': 'text'}, 'malformed'),
        (np.zeros(2).astype('>f4'), 'malformed'),
        (nested(), 'too-big'),
        ({'a': np.zeros(2), 'b': Fraction(1, 2)}, 'unknown-name'),
    ],
)
def test_anything_else_is_refused(value: object, code: str):
    with pytest.raises(BadFile) as error:
        read(value)
    assert error.value.code == code


def test_a_shared_array_is_paid_for_each_time():
    array = np.zeros(1 << 20, dtype=np.uint8)
    with pytest.raises(BadFile) as error:
        read({str(key): array for key in range(10)})
    assert error.value.code == 'too-big'


@pytest.mark.parametrize('kept', [1, 40, -1])
def test_a_torn_file_is_one_sentence(kept: int):
    whole = pickle.dumps({'a': np.zeros(100, dtype=np.float32)}, protocol=4)
    with pytest.raises(BadFile, match=r'\.$'):
        read_arrays(memoryview(whole[:kept]))


def test_bytes_after_the_end_are_refused():
    with pytest.raises(BadFile, match='after its end: 4'):
        read_arrays(memoryview(pickle.dumps({'a': np.zeros(1)}, protocol=4) + b'more'))
