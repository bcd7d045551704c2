"""AdamW and a learning-rate schedule: the look-ahead is AdamW's own step at the current rate."""

import torch
from torch import nn

import mwnet

torch.manual_seed(0)
x = torch.randn(2200, 10)
truth = (x[:, 0] * x[:, 1] > 0).long()
wrong = torch.rand(2200) < 0.3
labels = torch.where(wrong, 1 - truth, truth)
train, meta, test = torch.arange(2200).split([1000, 200, 1000])

network = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200)
step = mwnet.BilevelStep(network, optimizer, meta_loss="mae", virtual_step="optimizer")
meta_batches = mwnet.endless(meta.split(100))
for epoch in range(20):
    for i, m in zip(train[torch.randperm(1000)].split(100), meta_batches, strict=False):
        report = step(x[i], labels[i], x[m], labels[m])
        schedule.step()  # after the step, as in plain training
    if epoch % 5 == 4:
        accuracy = (network(x[test]).argmax(1) == truth[test]).float().mean()
        rate = schedule.get_last_lr()[0]
        print(f"epoch {epoch + 1}: loss {report.loss:.3f}, rate {rate:.4f}, test {accuracy:.3f}")
