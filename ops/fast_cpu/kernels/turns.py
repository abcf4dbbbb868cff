"""Memory of a kernel whose parts take turns."""

from ops.fast_cpu.kernels.emit import Array, Vec


class Blocks:
    """Blocks of vectors that take turns: the oldest one becomes the newest."""

    def __init__(self, start: Array, count: int, vectors: int):
        self.start, self.vectors, self.kernel = start, vectors, start.kernel
        self.slots = [self.kernel.slot(n * vectors * self.kernel.lanes) for n in range(count)]

    def oldest(self) -> Array:
        """The block that nobody needs any more once it has been read."""
        return self.start.at(self.slots[0].get())

    def load(self, vector: int) -> Vec:
        """Vector number `vector` from the start of the oldest block."""
        block, number = divmod(vector, self.vectors)
        return self.start.at(self.slots[block].get()).load(number * self.kernel.lanes)

    def rotate(self) -> None:
        """What was the oldest block is now the newest."""
        places = [slot.get() for slot in self.slots]
        for slot, place in zip(self.slots, places[1:] + places[:1], strict=True):
            slot.set(place)
