"""One training loop, on CPU and CUDA: a recipe, a network and data in, curves out.

- `augmentation`: random changes to a batch of images
- `averaging`: the moving average of the weights
- `block_diagonal`: grouped 1x1 convolutions as one product, for CUDA
- `checkpoint`: a training's state on disk
- `cpu`: layers that a CPU trains faster
- `cuda_graph`: a training step as one CUDA graph
- `distributed`: several processes that train one network
- `recipes`: the recipes by name, without torch
- `result`: a training's curves, or why there is no network
- `schedules`: learning rates by step
- `sgd`: gradient descent in few kernels
- `trainer`: the loop
- `validation`: a network's accuracy on images that it was not trained on
"""
