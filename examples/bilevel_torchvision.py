"""A network of torchvision, batch norm and all, on small random images."""

import torch

import mwnet

# `import torchvision` does as well, except beside a CPU-only torch: the builds in the registry have
# compiled operators for CUDA, which do not load there, and this import declares what they lack.
from mwnet.models.torchvision_import import torchvision

torch.manual_seed(0)
images = torch.randn(96, 3, 32, 32)
labels = torch.randint(0, 4, (96,))
images += labels[:, None, None, None] / 2  # brighter classes, so that there is something to learn
train, meta = torch.arange(96).split([64, 32])

network = torchvision().models.shufflenet_v2_x0_5(num_classes=4)
optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
step = mwnet.BilevelStep(network, optimizer, meta_loss="mae", normalisation="sum")
for epoch in range(4):
    for i, m in zip(train.split(32), mwnet.endless([meta]), strict=False):
        report = step(images[i], labels[i], images[m], labels[m])
    print(f"epoch {epoch + 1}: loss {report.loss:.3f}, meta loss {report.meta_loss:.3f}", end="")
    print(f", weights {report.weights.min():.3f} to {report.weights.max():.3f}, {report.engine}")
