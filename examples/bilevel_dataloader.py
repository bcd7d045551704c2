"""A DataLoader with workers that gives each sample's index too, and a few clean meta samples."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import mwnet


class Indexed(Dataset):
    """Samples with their place in the data set."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, int]:
        return self.x[i], self.y[i], i


def main() -> None:
    """Train for four epochs and list the samples that count least."""
    torch.manual_seed(0)
    x = torch.randn(700, 10)
    truth = (x[:, 0] > 0).long()
    wrong = torch.rand(700) < 0.3
    labels = torch.where(wrong, 1 - truth, truth)
    loader = DataLoader(Indexed(x[:600], labels[:600]), 50, shuffle=True, num_workers=2)
    meta_loader = DataLoader(TensorDataset(x[600:], truth[600:]), 50, shuffle=True)  # clean

    network = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    step = mwnet.BilevelStep(network, optimizer, meta_loss="ce", normalisation="sum", weight_lr=0.5)
    meta_batches = mwnet.endless(meta_loader)
    weights = torch.zeros(600)
    for _ in range(4):
        for x_train, y, index in loader:
            report = step(x_train, y, *next(meta_batches))
            weights[index] = report.weights
    suspect = weights.argsort()[:100]
    print(f"of the 100 samples with the lowest weights {int(wrong[suspect].sum())} are mislabelled")


if __name__ == "__main__":  # workers may import this file again
    main()
