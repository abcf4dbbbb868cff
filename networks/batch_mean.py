"""What a network averages over the minibatch while training: over all processes that train together, if there are several."""

from torch import Tensor, distributed


def batch_mean(own: Tensor) -> Tensor:
    """The mean, over the processes that train together, of the mean `own` of this process's equal part; `own` if alone."""
    if not distributed.is_available() or not distributed.is_initialized():
        return own
    total = own.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
