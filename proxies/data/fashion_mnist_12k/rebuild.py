"""Rebuilds the embedded images from Fashion-MNIST's gzipped idx files, as `python -m` and this module's name."""

import argparse
import gzip
import io
import lzma
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxies.data.fashion_mnist_12k import CLASSES, FILE_NAME
from search_space.files import write_whole

SEED = 2017
TRAIN_PER_CLASS = 1000
VAL_PER_CLASS = 200


def rebuild(source: Path) -> bytes:
    """Returns the embedded file: four .npy arrays in a row, compressed as xz.

    Reads only the training set of ``source``. The images keep the order that they have there.
    """
    images = read_idx(source / "train-images-idx3-ubyte.gz")
    labels = read_idx(source / "train-labels-idx1-ubyte.gz")
    stream = io.BytesIO()
    for rows in draw(labels):
        np.save(stream, images[rows])
        np.save(stream, labels[rows])
    return lzma.compress(stream.getvalue())


def draw(labels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the sorted row numbers of the training and of the validation images, equally many of each class."""
    generator = np.random.RandomState(SEED)  # unlike default_rng, its stream is promised never to change
    shuffled = [generator.permutation(np.flatnonzero(labels == label)) for label in range(len(CLASSES))]
    train = np.concatenate([rows[:TRAIN_PER_CLASS] for rows in shuffled])
    val = np.concatenate([rows[TRAIN_PER_CLASS : TRAIN_PER_CLASS + VAL_PER_CLASS] for rows in shuffled])
    return np.sort(train), np.sort(val)


def read_idx(file: Path) -> NDArray[np.uint8]:
    """Returns the bytes of a gzipped idx file, in the shape that its header states."""
    content = gzip.decompress(file.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def main() -> None:
    """Returns nothing; writes the embedded file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder with Fashion-MNIST's train-*-ubyte.gz files")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name(FILE_NAME), help="file to write")
    options = parser.parse_args()
    write_whole(options.output, rebuild(options.source))


if __name__ == "__main__":
    main()
