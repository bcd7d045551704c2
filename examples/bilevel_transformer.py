"""A transformer encoder on token ids, with 30 % wrong labels: they end with the lower weights."""

import torch
from torch import Tensor, nn

import mwnet


class Encoder(nn.Module):
    """Two classes from eight tokens: attention, layer norm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.encoder = nn.TransformerEncoderLayer(16, nhead=2, dim_feedforward=32, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, input_ids: Tensor, padding: Tensor) -> Tensor:
        hidden = self.encoder(self.embed(input_ids), src_key_padding_mask=padding)
        return self.head(hidden.mean(1))


torch.manual_seed(0)
ids = torch.randint(1, 20, (1200, 8))
padding = torch.zeros(1200, 8, dtype=torch.bool)
truth = (ids == 7).any(1).long()  # the class says whether token 7 occurs
wrong = torch.rand(1200) < 0.3
labels = torch.where(wrong, 1 - truth, truth)
train, meta = torch.arange(1200).split([1000, 200])

network = Encoder()
optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
# The meta samples are as noisy as the others. Weights divided by their sum cannot just grow
# to make longer steps, and a large rate moves the weight net within a hundred steps.
step = mwnet.BilevelStep(network, optimizer, meta_loss="mae", normalisation="sum", weight_lr=1.0)
weights = torch.zeros(1200)
for _ in range(12):
    meta_batches = mwnet.endless(meta.split(100))
    for i, m in zip(train[torch.randperm(1000)].split(100), meta_batches, strict=False):
        x, x_meta = ({"input_ids": ids[s], "padding": padding[s]} for s in (i, m))
        report = step(x, labels[i], x_meta, labels[m])
        weights[i] = report.weights

right = weights[:1000][~wrong[:1000]].mean()
print(f"engine {report.engine}; mean weight of right labels {right:.3f}, ", end="")
print(f"of wrong ones {weights[:1000][wrong[:1000]].mean():.3f}")
