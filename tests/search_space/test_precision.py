"""Bytes of weights at each precision, by hand."""

from search_space.precision import BYTES_PER_ELEMENT, PRECISIONS, bytes_of_weights


def test_every_precision_has_its_bytes() -> None:
    assert [(name, BYTES_PER_ELEMENT[name]) for name in PRECISIONS] == [("fp32", 4), ("int8", 1)]


def test_weights_of_a_convolution() -> None:
    # V2's stem: 3 x 3 x 3 x 24 weights and 24 biases; at int8 each channel has a scale as well.
    assert bytes_of_weights(648, 24, "fp32") == 4 * 648 + 4 * 24 == 2688
    assert bytes_of_weights(648, 24, "int8") == 648 + 8 * 24 == 840
