"""Images in memory: loaded, decoded, split into batches.

- `cache`: where decoded and downloaded images are kept
- `fashion_mnist_12k`: the embedded images
- `image_folder`: folders of images, a sub-folder a class
- `load`: images by the name of their data set, and batches of them
- `names`: the data sets by name, without torch
- `source`: images as a value: their name, place and size
- `test_images`: test images, which no search and no training sees
"""
