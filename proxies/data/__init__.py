"""Images in memory: loaded, decoded, split into batches.

- `cache`: where decoded and downloaded images are kept
- `copies`: images that are the same, though they lie in several places
- `fashion_mnist_12k`: the embedded images
- `folder`: how a folder of images is laid out and decoded
- `image_folder`: folders of images, a sub-folder a class, decoded once
- `labelled`: images with their labels, as arrays
- `load`: images by the name of their data set, and batches of them
- `names`: the data sets by name, without torch
- `source`: images as a value: their name, place and size
- `test_images`: test images, which no search and no training sees
"""
